"""What a run decides for itself, on founders and without a label: which views are safe.

The rule: ask an encoder that knows no pairs at all (whitened features) whether it still
recognises a view as the same example among hundreds of others. A view that is confused
with other examples destroys identity; one that is never confused may be learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stepwell.engines import Choice, Quantiser, SpectralMap, auto_law, whitening
from stepwell.evaluate.neighbours import retrieved
from stepwell.interfaces import Batch, Encoder, Observer, Pretext, Row
from stepwell.kit.hashing import keys

SAFE = 0.95
"""Share of views that must be recognised."""
JUDGES = 600
"""Founders kept back to judge views; the rate depends little on how many."""


@dataclass
class Calibration:
    """What was chosen, and the table it was chosen from."""

    encoder: Encoder
    pretext: Pretext
    rows: list[Row] = field(default_factory=list)


def calibrate(
    encoder: Encoder, pretext: Pretext, founders: Batch, *, seed: int, observe: Observer
) -> Calibration:
    """Choose the views of ``pretext`` by retrieval among founders.

    Pretexts that offer no ``candidates`` are left as they are.
    """
    families = getattr(pretext, "candidates", None)
    if families is None or len(founders) < 20:
        return Calibration(encoder, pretext)
    absorbs = sorted(getattr(encoder, "absorbs", ()))
    open_encoder = encoder.absorbing(()) if absorbs else encoder
    judge = _Judge(open_encoder, founders, seed)
    rows: list[Row] = []
    absorbed = []
    for name in absorbs:
        rate = judge.rate(type(pretext)(f"{name}:1"))
        absorbed += [name] if rate >= SAFE else []
        rows.append(_row(name, name, rate, rate >= SAFE))
    chosen: list[str] = []
    for family, tries in families().items():
        chosen += _strongest_safe(judge, family, tries, rows, observe)
    best = type(pretext)(chosen or ("shift",))
    final = encoder.absorbing(absorbed) if absorbs else encoder
    return Calibration(final, best, rows)


def _strongest_safe(
    judge: _Judge, family: str, tries: Sequence[Any], rows: list[Row], observe: Observer
) -> list[str]:
    """The first of a family that is recognised often enough; weaker ones are not tried."""
    for pretext in tries:
        name = pretext.recipe[0]
        rate = judge.rate(pretext)
        rows.append(_row(name, family, rate, rate >= SAFE))
        observe("view", rows[-1])
        if rate >= SAFE:
            return [name]
    return []


def _row(name: str, family: str, rate: float, used: bool) -> Row:
    why = "recognised: used" if used else "confused with other examples: not used"
    return {"name": name, "family": family, "retrieval": rate, "used": used, "why": why}


class _Judge:
    """Whitened features of founders, and how often views are recognised by them."""

    def __init__(self, encoder: Encoder, founders: Batch, seed: int) -> None:
        order = np.argsort(keys(founders.digest, seed, 0x7E57))
        held = min(JUDGES, len(founders) // 3)
        self._encoder, self._seed = encoder, seed
        self._batch = founders.take(np.sort(order[:held]))
        learned = encoder.embed(founders.take(np.sort(order[held:])))
        quantiser = Quantiser.fit(learned)
        modes = whitening(auto_law(quantiser(learned)), Choice(k=512))
        self._map = SpectralMap.build(quantiser, modes, Choice(k=512, alpha=0.0))
        self._known = self._map(encoder.embed(self._batch))

    def rate(self, pretext: Any) -> float:
        """Share of views whose nearest original is their own."""
        views = self._map(self._encoder.embed(pretext.partner(self._batch, self._seed, 1)))
        return float(retrieved(views, self._known).mean())


