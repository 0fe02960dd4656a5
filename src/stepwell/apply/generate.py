"""Texts that go on as those that were learned from would."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Following(Protocol):
    """A model of bytes."""

    order: int
    end: int
    """The byte that stands before and after each text."""

    def following(self, context: bytes) -> NDArray[np.float64]:
        """(256,) probabilities of the next byte."""


def generate(
    model: Following,
    prompt: str,
    length: int = 400,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    fill: bool = False,
) -> Iterator[str]:
    """Signs after a prompt, a few at a time, until the text ends or is as long as asked for.

    Parameters
    ----------
    model : Following
    prompt : str
        Of a longer one the last bytes count. Empty: a text from its beginning.
    length : int
        Signs at most.
    temperature : float
        Below 1: more of the likeliest; 0: only that.
    top_p : float
        Only the likeliest that have this share together (Holtzman et al., ICLR 2020).
    seed : int
    fill : bool
        Where a text ends, begin another one, after an empty line.
    """
    rng, reader = np.random.default_rng(seed), codecs.getincrementaldecoder("utf-8")("ignore")
    begin = bytes([model.end]) * (model.order - 1)
    context = (begin + prompt.encode("utf-8", "replace"))[1 - model.order :]
    done = 0
    while done < length:
        byte = _drawn(model.following(context), temperature, top_p, rng)
        ends = byte == model.end
        if ends and not fill:
            return
        context = begin if ends else (context + bytes([byte]))[1 - model.order :]
        signs = "\n\n"[: length - done] if ends else reader.decode(bytes([byte]))
        done += len(signs)
        if signs:
            yield signs


def _drawn(p: NDArray[np.float64], temperature: float, top_p: float, rng: Any) -> int:
    if temperature <= 0:
        return int(p.argmax())
    with np.errstate(divide="ignore"):
        weight = np.exp((np.log(p) - np.log(p.max())) / temperature)  # at least one of them is 1
    order = np.argsort(-weight, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    kept = int(np.searchsorted(share, min(top_p, 1.0) * (1 - 1e-12))) + 1
    return int(order[np.searchsorted(share[:kept], rng.random() * share[kept - 1])])
