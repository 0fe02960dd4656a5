"""What a run decides for itself, on founders and without a label: which views to pair with.

Two questions to an encoder that knows no pairs at all (whitened features):

- *Kept?* Does a view stay nearer to its own example than that example's nearest
  neighbour is, nearly as often as after a shift by a pixel or two, which changes nothing?
  A view that moves further than that destroys what tells examples apart. Asked in the
  leading 64 dimensions: with more of them anything is recognised by its fine detail.
- *Natural?* Does a flipped example look as much like some other example as real ones do?
  Where it does not (letters and digits), a flip makes examples that do not exist.

benchmarks/views.py asks what each view is worth alone.
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
from stepwell.views import parse

SAFE = 0.9
"""A view must be kept at least this often, relative to the gentlest one."""
NATURAL = 0.8
"""Cosine of a view to its nearest other example, relative to that of originals. Measured:
digits .65; photographs of things .88, clothes .90, chests 1.0, CIFAR-10 1.03."""
TELLING = 0.3
"""If even the gentlest view is kept more rarely than that, the rule can tell nothing."""
FEWEST = 60
"""With fewer founders nothing is chosen."""
JUDGES, LEARNED = 400, 800
"""Founders that judge views, and others that their whitening is learned from."""
BLIND = "features are blind to it"
_KNOWN = Choice(k=64, rho=1.0, alpha=0.0)


@dataclass
class Calibration:
    """What was chosen, and the table it was chosen from."""

    encoder: Encoder
    pretext: Pretext
    rows: list[Row] = field(default_factory=list)
    features: Any = None
    """(n, d) of all founders, where they were needed."""


def as_asked(encoder: Encoder, pretext: Pretext) -> Calibration:
    """Nothing chosen: the encoder is blind to what the recipe names, and to nothing else.

    What it is blind to need not be drawn: then the same views give the same numbers, chosen or
    asked for. Pretexts without a recipe of ``views`` leave the encoder as it is.
    """
    views = getattr(pretext, "views", None)
    blind: frozenset[str] = getattr(encoder, "absorbs", frozenset())
    if views is None or not blind:
        return Calibration(encoder, pretext)
    named = blind & {view.name for view in views}
    asked, options, rows = pretext, getattr(pretext, "options", {}), list[Row]()
    recipe = options.get("recipe", ())
    rest = [part for part in recipe if not {view.name for view in parse(part)} <= named]
    if rest and len(rest) < len(recipe):
        asked = type(pretext)(**{**options, "recipe": rest})
        rows = [
            {"name": name, "family": name, "used": True, "why": BLIND} for name in sorted(named)
        ]
    return Calibration(encoder.absorbing(named), asked, rows)  # type: ignore[attr-defined]


def calibrate(
    encoder: Encoder, pretext: Pretext, founders: Batch, *, seed: int, observe: Observer
) -> Calibration:
    """Choose the views of ``pretext`` on founders.

    Pretexts that offer no ``candidates`` are left as they are, and so is everything where
    there are few founders.
    """
    families = getattr(pretext, "candidates", None)
    alone = _distinct(founders)
    if families is None or len(alone) < FEWEST:
        return as_asked(encoder, pretext)
    observe("view", {})
    rows: list[Row] = []
    made: Any = type(pretext)  # pretexts with candidates are made of a recipe
    encoder = _absorb(encoder, made, founders.take(alone), seed, rows)
    features = encoder.embed(founders)
    judge = _Judge(encoder, founders.take(alone), features[alone], seed)
    gentlest = made(made.gentlest)
    sure = judge.kept(gentlest)[0]
    if sure < TELLING:  # examples so alike that nothing can be judged
        return Calibration(encoder, gentlest, rows, features)
    bar = SAFE * sure
    chosen: list[str] = []
    for family, tries in families().items():
        chosen += _strongest(judge, family, tries, bar, rows, observe)
    return Calibration(encoder, made(chosen or made.gentlest), rows, features)


def _distinct(founders: Batch) -> NDArray[np.intp]:
    """Rows of one of each content: a copy would be every view's nearest neighbour."""
    _, first = np.unique(founders.digest, axis=0, return_index=True)
    return np.sort(first)


def _absorb(encoder: Encoder, pretext: Any, founders: Batch, seed: int, rows: list[Row]) -> Encoder:
    """Make the encoder blind to the views it can absorb, where these are natural."""
    names = sorted(getattr(encoder, "absorbs", ()))
    if not names:
        return encoder
    whole = encoder.absorbing(())  # type: ignore[attr-defined]
    order = _by_hash(founders, seed)[: (JUDGES + LEARNED) // 2]
    few = founders.take(order)
    judge = _Judge(whole, few, whole.embed(few), seed)
    natural = []
    for name in names:
        rate = judge.natural(pretext(f"{name}:1"))
        used = rate >= NATURAL
        natural += [name] if used else []
        why = "looks like real examples: used" if used else "looks like no real example: not used"
        rows.append({"name": name, "family": name, "natural": rate, "used": used, "why": why})
    return encoder.absorbing(natural)  # type: ignore[attr-defined]


def _strongest(
    judge: _Judge, family: str, tries: Sequence[Any], bar: float, rows: list[Row], observe: Observer
) -> list[str]:
    """The first of a family that is kept often enough; weaker ones are not tried."""
    for pretext in tries:
        rate, found = judge.kept(pretext)
        used = rate >= bar
        why = "stays itself: used" if used else "moves further than to a neighbour: not used"
        row = {"name": pretext.recipe[0], "family": family, "kept": rate, "retrieval": found}
        row["bar"] = bar
        rows.append({**row, "used": used, "why": why})
        observe("view", rows[-1])
        if used:
            return [pretext.recipe[0]]
    return []


def _by_hash(founders: Batch, seed: int) -> NDArray[np.intp]:
    return np.argsort(keys(founders.digest, seed, 0x7E57), kind="stable")


class _Judge:
    """Founders with their (n, d) features: some to learn whitening from, some to judge views."""

    def __init__(self, encoder: Encoder, founders: Batch, features: Any, seed: int) -> None:
        order = _by_hash(founders, seed)
        held = min(JUDGES, len(founders) // 3)
        mine = np.sort(order[:held])
        self._encoder, self._seed = encoder, seed
        self._batch = founders.take(mine)
        learned = features[np.sort(order[held : held + LEARNED])]
        quantiser = Quantiser.fit(learned)
        modes = whitening(auto_law(quantiser(learned)), _KNOWN)
        self._map = SpectralMap.build(quantiser, modes, _KNOWN)
        self._known = self._map(features[mine])
        self._nearest = _nearest_other(self._known, self._known)

    def _seen(self, pretext: Any) -> Any:
        return self._encoder.embed(pretext.changed(self._batch, self._seed, 1))

    def kept(self, pretext: Any) -> tuple[float, float]:
        """Shares of views nearer to their own example than its nearest neighbour is, and
        of views that find their own example among all."""
        seen = self._map(self._seen(pretext))
        own = (seen * self._known).sum(1)
        return float((own > self._nearest).mean()), float(retrieved(seen, self._known).mean())

    def natural(self, pretext: Any) -> float:
        """Mean cosine of views to their nearest *other* example, relative to originals."""
        seen = self._map(self._seen(pretext))
        found = _nearest_other(seen, self._known).mean()
        return float(found / max(float(self._nearest.mean()), 1e-6))


def _nearest_other(rows: NDArray, known: NDArray) -> NDArray:
    """(n,) cosine of row i to the nearest of ``known`` but row i."""
    cosine = rows @ known.T
    np.fill_diagonal(cosine, -1.0)
    return np.asarray(cosine.max(1))
