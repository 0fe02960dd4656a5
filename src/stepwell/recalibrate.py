"""What a run decides for itself, on founders and without a label: which views to pair with.

Two questions to an encoder that knows no pairs at all (whitened features):

- *Recognised?* Among hundreds of examples, does it still find the one that a view was
  made of, nearly as often as after a shift by a pixel or two, which changes nothing? A
  view that is confused with other examples destroys what tells them apart.
- *Natural?* Can a flipped example be told from an ordinary one? Where it can (letters,
  chests, shoes that all point left), a flip makes examples that do not exist.

docs/measurements.md has what this rule was worth on each data set, and what failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.engines import Choice, Quantiser, SpectralMap, auto_law, whitening
from stepwell.evaluate.neighbours import retrieved
from stepwell.interfaces import Batch, Encoder, Observer, Pretext, Row
from stepwell.kit.hashing import keys

SAFE = 0.95
"""A view must be recognised at least this often, relative to the gentlest one."""
TELLING = 0.75
"""A flip is natural while flipped and plain examples are told apart less often than this
(area under the ROC curve)."""
JUDGES = 600
"""Founders kept back to judge views."""
_KNOWN = Choice(k=512, rho=1.0, alpha=0.0)


@dataclass
class Calibration:
    """What was chosen, and the table it was chosen from."""

    encoder: Encoder
    pretext: Pretext
    rows: list[Row] = field(default_factory=list)


def calibrate(
    encoder: Encoder, pretext: Pretext, founders: Batch, *, seed: int, observe: Observer
) -> Calibration:
    """Choose the views of ``pretext`` on founders.

    Pretexts that offer no ``candidates`` are left as they are.
    """
    families = getattr(pretext, "candidates", None)
    if families is None or len(founders) < 20:
        return Calibration(encoder, pretext)
    rows: list[Row] = []
    encoder = _absorb(encoder, type(pretext), founders, seed, rows)
    judge = _Judge(encoder, founders, seed)
    gentlest = type(pretext)(type(pretext).gentlest)
    bar = SAFE * judge.recognised(gentlest)
    chosen: list[str] = []
    for family, tries in families().items():
        chosen += _strongest(judge, family, tries, bar, rows, observe)
    return Calibration(encoder, type(pretext)(chosen or type(pretext).gentlest), rows)


def _absorb(
    encoder: Encoder, pretext: Any, founders: Batch, seed: int, rows: list[Row]
) -> Encoder:
    """Make the encoder blind to the views it can absorb, where these are natural."""
    names = sorted(getattr(encoder, "absorbs", ()))
    if not names:
        return encoder
    judge = _Judge(encoder.absorbing(()), founders, seed)  # type: ignore[attr-defined]
    natural = []
    for name in names:
        telling = judge.told_apart(pretext(f"{name}:1"))
        used = telling < TELLING
        natural += [name] if used else []
        why = (
            "looks like any other example: used"
            if used
            else "can be told from real examples: not used"
        )
        rows.append(
            {"name": name, "family": name, "told_apart": telling, "used": used, "why": why}
        )
    return encoder.absorbing(natural)  # type: ignore[attr-defined, no-any-return]


def _strongest(
    judge: _Judge, family: str, tries: Sequence[Any], bar: float, rows: list[Row], observe: Observer
) -> list[str]:
    """The first of a family that is recognised often enough; weaker ones are not tried."""
    for pretext in tries:
        rate = judge.recognised(pretext)
        used = rate >= bar
        why = "recognised: used" if used else "confused with other examples: not used"
        row = {"name": pretext.recipe[0], "family": family, "retrieval": rate, "bar": bar}
        rows.append({**row, "used": used, "why": why})
        observe("view", rows[-1])
        if used:
            return [pretext.recipe[0]]
    return []


class _Judge:
    """Features of founders, some to learn whitening from, some to judge views by."""

    def __init__(self, encoder: Encoder, founders: Batch, seed: int) -> None:
        order = np.argsort(keys(founders.digest, seed, 0x7E57), kind="stable")
        held = min(JUDGES, len(founders) // 3)
        self._encoder, self._seed = encoder, seed
        self._batch = founders.take(np.sort(order[:held]))
        learned = encoder.embed(founders.take(np.sort(order[held:])))
        quantiser = Quantiser.fit(learned)
        modes = whitening(auto_law(quantiser(learned)), _KNOWN)
        self._map = SpectralMap.build(quantiser, modes, _KNOWN)
        self._features = encoder.embed(self._batch)
        self._known = self._map(self._features)

    def _seen(self, pretext: Any) -> Any:
        return self._encoder.embed(pretext.partner(self._batch, self._seed, 1))

    def recognised(self, pretext: Any) -> float:
        """Share of views whose nearest original is their own."""
        return float(retrieved(self._map(self._seen(pretext)), self._known).mean())

    def told_apart(self, pretext: Any) -> float:
        """How well views are told from originals by their mean difference (ROC area)."""
        plain, seen = np.asarray(self._features), np.asarray(self._seen(pretext))
        half = len(plain) // 2
        gap = seen[:half].mean(0) - plain[:half].mean(0)
        spread = plain[:half].var(0)
        weights = gap / (spread + 0.1 * spread.mean() + 1e-12)
        return roc_area(seen[half:] @ weights, plain[half:] @ weights)


def roc_area(positive: NDArray, negative: NDArray) -> float:
    """Chance that a positive scores above a negative (Mann-Whitney); ties count half."""
    below = np.searchsorted(np.sort(negative), positive, side="left")
    upto = np.searchsorted(np.sort(negative), positive, side="right")
    return float((below + upto).mean() / (2 * max(len(negative), 1)))
