"""Scores without labels: how often a view finds the example it was made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.contestants import Contestants, with_components
from stepwell.engines import units_of
from stepwell.evaluate.intervals import share
from stepwell.evaluate.neighbours import retrieved
from stepwell.evaluate.structure import spread
from stepwell.evaluate.verdict import best_of, saturated, unlabelled_verdict
from stepwell.interfaces import Batch, StepwellError, concatenate
from stepwell.kit.hashing import keys
from stepwell.pretexts import TwoViews, suited
from stepwell.run import Run
from stepwell.runfile import untrained

SAMPLE = 300
HARDER = ("zoom-strong", "zoom-strong jitter", "zoom-strong jitter rotation-strong noise")
"""Views of images for where all find their own in those it learned from, one after the other."""


class Sample:
    """A few examples drawn by hash for scores without labels; founders only if need be."""

    def __init__(self, seed: int, founders: set[str]) -> None:
        self._seed, self._founders = seed, founders
        self.kept: Batch | None = None

    def offer(self, batch: Batch) -> None:
        """Keep the lowest hashes seen so far."""
        joined = batch if self.kept is None else concatenate([self.kept, batch])
        rank = (keys(joined.digest, self._seed, 0x5C0) >> np.uint64(1)).astype(np.int64)
        founder = np.array([str(i) in self._founders for i in joined.ids])
        order = np.lexsort((rank, founder))[:SAMPLE]
        self.kept = joined.take(np.sort(order))

    def batch(self) -> Batch:
        """What was kept."""
        if self.kept is None:
            raise StepwellError("Expected examples to learn from, found none that could be read.")
        return self.kept


@dataclass(frozen=True, eq=False)
class Probe:
    """Freshly drawn pairs of a few examples, encoded once for all that looks at them.

    Attributes
    ----------
    originals, views : Batch
        Row by row, two of the same unit.
    features, partners : (n, d)
        Of ``originals`` and ``views``.
    """

    originals: Batch
    views: Batch
    features: Any
    partners: Any


def probe(learned: Any, sample: Batch, seed: int) -> Probe:
    """Per unit of freshly drawn pairs its first two rows.

    Of the first pairs only: with an example in the bank twice, neither would be found.
    """
    pretext = suited(learned.calibration.pretext, len(sample))  # all of so few have a partner
    pairs = next(iter(pretext.pairs(sample, seed)))
    order, start, _ = units_of(pairs.unit)
    views, originals = pairs.x.take(order[start + 1]), pairs.x.take(order[start])
    embed = learned.encoder.embed
    return Probe(originals, views, embed(originals), embed(views))


def without_labels(run: Run, learned: Any, probe: Probe, *, seed: int) -> dict[str, Any]:
    """How often a view finds the example it was made of, for all contestants; in harder views
    where all are found."""
    contestants, test = Contestants(run, seed), ""
    rows, hits = _found(contestants, probe)
    by_views = isinstance(learned.calibration.pretext, TwoViews)
    for recipe in HARDER if by_views else ():  # of other pairs nobody knows what is harder
        if not saturated(*best_of(rows)):
            break
        views = TwoViews(recipe.split()).changed(probe.originals, seed)
        harder = replace(probe, views=views, partners=learned.encoder.embed(views))
        (rows, hits), test = _found(contestants, harder), f" in harder views ({recipe})"
    values = np.asarray(learned.solution.map.values)
    above = int((values > learned.solution.noise).sum())
    share_of_all = spread(probe.features)
    noisy = share_of_all > getattr(run.encoder, "noise_spread", 1.0)
    noise = share_of_all if noisy else None
    verdict = unlabelled_verdict(rows, hits, above, len(values), noise, test)
    verdict["sentence"] = untrained(run.config) + verdict["sentence"]
    found = {"retrieval": rows, "modes_above_noise": above, "spread": round(share_of_all, 4)}
    return found | {"verdict": verdict, "retrieval_test": test.strip()}


def _found(
    contestants: Contestants, probe: Probe
) -> tuple[list[dict[str, Any]], dict[str, NDArray[np.bool_]]]:
    """A row a contestant; and which views found their own example."""
    bank, queries = with_components(
        contestants.of(probe.originals, probe.features),
        contestants.of(probe.views, probe.partners),
        contestants.width,
    )
    hits = {name: retrieved(queries[name], bank[name]) for name in contestants.roles}
    rows = [
        {"name": name, "role": role, **share(int(hits[name].sum()), len(probe.views)).as_dict()}
        for name, role in contestants.roles.items()
    ]
    return rows, hits
