"""What comes before learning: founders, and what fits a budget."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell import gathering
from stepwell.interfaces import ignore
from stepwell.kit.stopwatch import Stopwatch
from stepwell.sources import open_source


@pytest.fixture(scope="module")
def source():
    """Small images sorted by brightness, as folders are sorted by class."""
    images = np.random.default_rng(0).integers(0, 40, (3000, 8, 8), np.uint8)
    images += (np.arange(3000) // 15)[:, None, None].astype(np.uint8)
    return open_source(images)


@pytest.fixture(scope="module")
def founders(source):
    return gathering.founders_of(source, list(source.entries()), 0, ignore)


def test_founders_are_spread_over_the_source(source, founders):
    place = {name: i for i, (name, _) in enumerate(source.entries())}
    places = np.array([place[str(i)] for i in founders.ids])
    assert len(founders) == gathering.FOUNDERS
    assert abs(places.mean() / 3000 - 0.5) < 0.02


class Cheap:
    """An encoder of nothing, a partner an example."""

    width, dimensions = 10, 2

    def encodings(self, examples):
        return 2 * examples

    def encode(self, batch):
        return batch


@pytest.mark.parametrize(("budget", "least", "most"), [(1e9, 3000, 3000), (0.0, 2000, 2000)])
def test_a_budget_always_pays_for_the_founders(source, founders, budget, least, most):
    entries = list(source.entries())
    found = gathering.within(budget, Stopwatch(), Cheap(), source, entries, founders, 0)
    assert set(map(str, founders.ids)) <= found
    assert least <= len(found) <= most


def test_half_a_budget_pays_for_about_half(source, founders, monkeypatch):
    seconds = iter([0.0, 64.0, 128.0])  # to read an example takes a second, to encode it too
    monkeypatch.setattr(gathering.time, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr(gathering, "SCORING", 100.0)

    class Watch:
        def wall(self) -> float:
            return 200.0

    entries = list(source.entries())
    budget = (1500 * (1 + 1.1 * 2) + 300) / 0.95
    found = gathering.within(budget, Watch(), Cheap(), source, entries, founders, 0)
    rest = len(found - set(map(str, founders.ids)))
    assert abs(rest - 500) < 80


def test_examples_are_spread_from_the_first_to_the_last():
    ids = [str(i) for i in range(150)]
    some = gathering.spread_over(ids, 100)
    assert (len(some), some[0], some[-1]) == (100, "0", "149")
    assert gathering.spread_over(ids, 1000) == ids
