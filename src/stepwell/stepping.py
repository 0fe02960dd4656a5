"""The staircase of a run: its two orders logged, its steps found and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Observer
from stepwell.kit.plugins import registered
from stepwell.run import Run
from stepwell.staircase.detect import Step, find_steps
from stepwell.staircase.explain import Explanation, correlations, explain, information
from stepwell.staircase.orders import GRADIENT, SHOWN, WHITENED, together, walk
from stepwell.staircase.records import EVENT, Spectra
from stepwell.staircase.statistics import STATISTICS

PARTS = {WHITENED: "map", GRADIENT: "gradient"}
"""Which part of a run holds the dimensions of each order."""
VISIBLE = 0.01
"""Share of the largest eigenvalue that a dimension reaches when it comes, at least."""
CHANGES = ("flip", "rotation", "zoom", "jitter", "blur")
"""Views of images whose effect on each dimension is told."""


def log_orders(learned: Any, probe: Any, tell: Observer) -> None:
    """Tell the spectrum along both orders, on fresh views."""
    solution, quantiser = learned.solution, learned.engine.quantiser
    codes = [quantiser(features) for features in (probe.features, probe.partners)]
    for clock, found in ((WHITENED, solution.map), (GRADIENT, solution.gradient)):
        if found is not None:
            z, partners = (unweighted(found, each) for each in codes)
            for facts in walk(clock, np.asarray(found.values), z, partners):
                tell(EVENT, facts)


def unweighted(found: Any, codes: Any) -> NDArray[np.float64]:
    """(n, k) codes along the first modes of a map, without what weights these."""
    z = np.asarray(found.project(codes), np.float64)
    return z[:, :SHOWN] / np.asarray(found.values)[:SHOWN] ** found.choice.alpha


def steps_of(spectra: Spectra) -> list[Step]:
    """Steps of one clock: of each dimension the largest; ``index`` is the dimension's own.

    Of those that reach a size: a larger one that comes pulls small ones up a little.
    """
    found: dict[int, Step] = {}
    for step in find_steps(spectra.times, spectra.shown):
        row = min(int(np.searchsorted(spectra.times, step.end)) + 1, len(spectra.times) - 1)
        if spectra.shown[row, step.index] < VISIBLE * spectra.shown[row, 0]:
            continue
        mode = spectra.mode_at(step.index, step.time)  # half-way up: on its own there
        if mode not in found or step.size > found[mode].size:
            found[mode] = replace(step, index=mode)
    return in_order(list(found.values()), spectra.modes is not None)


def in_order(steps: Sequence[Step], computed: bool) -> list[Step]:
    """By time; of an order that was computed, those that come almost at once by dimension."""
    ordered = sorted(steps, key=lambda step: (step.time, step.index))
    if not computed or not ordered:
        return ordered
    groups = together(np.array([step.time for step in ordered]))
    ranked = zip(groups, ordered, strict=True)
    return [step for _, step in sorted(ranked, key=lambda each: (each[0], each[1].index))]


class Sight:
    """What the dimensions of a run see, on a batch drawn at random.

    Parameters
    ----------
    run : Run
    batch : Batch
    """

    def __init__(self, run: Run, batch: Batch) -> None:
        kind = run.config["source"]["kind"]
        self.ids, self._encoder = batch.ids, run.encoder
        self._kind, self._batch = kind, batch
        self._maps = {clock: run.part(name) for clock, name in PARTS.items() if run.has(name)}
        self._values = self._along(run.features(batch))

    @cached_property
    def _changed(self) -> Mapping[str, Mapping[str, NDArray[np.float64]]]:
        return {
            name: self._along(self._encoder.embed(seen))
            for name, seen in _changes(self._kind, self._batch).items()
        }

    @cached_property
    def _known(self) -> Mapping[str, NDArray]:
        statistics = registered("statistics", STATISTICS).get(self._kind)
        return statistics(self._batch) if statistics else {}

    def _along(self, features: Any) -> dict[str, NDArray[np.float64]]:
        """(n, k) values of the first dimensions, by order."""
        return {
            clock: unweighted(each, each.quantiser(features)) for clock, each in self._maps.items()
        }

    @property
    def clocks(self) -> Sequence[str]:
        """Orders whose dimensions are there."""
        return list(self._maps)

    def values(self, clock: str) -> NDArray[np.float64]:
        """(n, k) values of an order's first dimensions for the batch."""
        return self._values[clock]

    def explained(self, clock: str) -> list[Explanation]:
        """What each dimension of an order sees."""
        changed = {name: values[clock] for name, values in self._changed.items()}
        found = explain(self.values(clock), self._known, changed)
        return [replace(each, told=self._told(clock, each.index)) for each in found]

    def _told(self, clock: str, mode: int) -> str:
        """What the encoder says of a dimension, if it can: ``funny, warm rather than dull``."""
        extremes = getattr(self._encoder, "extremes", None)
        if extremes is None:
            return ""
        low, high = extremes(np.asarray(self._maps[clock].vectors[:, mode]))
        return f"{', '.join(high)} rather than {', '.join(low)}"

    def told(self, clock: str, labels: Sequence[str]) -> NDArray[np.float64]:
        """(k,) bits that each dimension of an order tells about labels of the batch."""
        return information(self.values(clock), labels)

    def ends(self, clock: str, mode: int, count: int) -> list[str]:
        """Ids of the examples at the low end of a dimension, then of those at the high end."""
        order = np.argsort(self.values(clock)[:, mode], kind="stable")
        return [str(self.ids[i]) for i in (*order[:count], *order[-count:])]

    def where(self, clock: str, mode: int) -> list[list[float]] | None:
        """How much a dimension looks at each place, rows of shares; None if the encoder can't
        say. Exact, as dimensions are linear in the features."""
        look = getattr(self._encoder, "attention", None)
        shares = look(np.asarray(self._maps[clock].vectors[:, mode])) if look else None
        return None if shares is None else np.round(shares, 3).tolist()

    def related(self) -> list[tuple[int, float]]:
        """For each dimension of the gradient order: the run's own it goes with most, and |r|."""
        z = (self.values(clock) for clock in (GRADIENT, WHITENED))
        r = np.abs(correlations(*z))
        return [(int(row.argmax()), float(row.max())) for row in r]


def _changes(kind: str, batch: Batch) -> dict[str, Batch]:
    """The batch seen through each of the views that are told about."""
    if kind != "image":
        return {}
    from stepwell.views import parse, pictures, render

    found = {}
    for name in CHANGES:
        seen = render(batch, parse("flip:1" if name == "flip" else name), 0)
        found[name] = seen.with_data(image=pictures(seen.data["image"]))
    return found
