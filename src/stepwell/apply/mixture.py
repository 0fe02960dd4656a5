"""Counts and a transformer together: what comes next by both, as a weighted mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.apply.generate import Following
from stepwell.kit.texts import END, SPECIAL
from stepwell.kit.torch import torch_or_error

WEIGHTS = np.linspace(0, 1, 41)
"""That are tried."""


class Mixture:
    """Bytes that follow, by counts and by a transformer.

    Parameters
    ----------
    counts : Following
    module : Transformer
        Causal, over bytes.
    longest : int
        Tokens that it sees.
    weight : float
        Of the counts.
    """

    def __init__(self, counts: Following, module: Any, longest: int, weight: float) -> None:
        self.order, self.end = longest, counts.end
        self._counts, self._module, self._weight = counts, module.eval(), weight
        self._read = b""
        self._memory: Any = None

    def following(self, context: bytes) -> NDArray[np.float64]:
        """(256,) probabilities of the next byte."""
        by_counts = self._counts.following(context)
        return self._weight * by_counts + (1 - self._weight) * self._by_module(context)

    def _by_module(self, context: bytes) -> NDArray[np.float64]:
        torch = torch_or_error()
        further = self._memory is not None and context[:-1] == self._read[1:]
        if not further or self._memory.length >= self.order - 1:
            text = context.lstrip(bytes([self.end]))
            begun = len(text) < len(context)  # ends before it: its own beginning is in view
            some = text[-(self.order // 2) :]
            self._memory = self._module.listening()
            tokens = [END] * (begun and some == text) + [byte + SPECIAL for byte in some]
        else:
            tokens = [context[-1] + SPECIAL]
        self._read = context
        device = self._module.embedding.weight.device
        with torch.inference_mode():
            scores = self._module.one_more(torch.tensor([tokens], device=device), self._memory)[0]
            share = scores.float().softmax(-1).cpu().numpy().astype(np.float64)
        found = share[SPECIAL:].copy()
        found[self.end] = share[END]
        return np.asarray(found / found.sum())


def mixed(one: NDArray[np.float64], other: NDArray[np.float64], weight: float) -> Any:
    """Nats by the weighted mean of two probabilities that are given as nats."""
    with np.errstate(divide="ignore"):
        return -np.logaddexp(np.log(weight) - one, np.log1p(-weight) - other)


def best_weight(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Of the first, with which the mean of both costs least."""
    return float(min(WEIGHTS, key=lambda weight: mixed(one, other, weight).sum()))
