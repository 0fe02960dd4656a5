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


@pytest.mark.parametrize(("budget", "least", "most"), [(1e9, 3000, 3000), (0.0, 2000, 2000)])
def test_a_budget_always_pays_for_the_founders(source, founders, budget, least, most):
    entries = list(source.entries())
    found = gathering.within(budget, Stopwatch(), lambda batch: batch, source, entries, founders, 0)
    assert set(map(str, founders.ids)) <= found
    assert least <= len(found) <= most


def test_half_a_budget_pays_for_about_half(source, founders, monkeypatch):
    seconds = iter([0.0, 1.0])  # 64 examples take a second
    monkeypatch.setattr(gathering.time, "perf_counter", lambda: next(seconds))

    class Watch:
        def wall(self) -> float:
            return 0.0

    entries = list(source.entries())
    budget = 1500 * 1.25 / 64 / 0.9
    found = gathering.within(budget, Watch(), lambda batch: batch, source, entries, founders, 0)
    rest = len(found - set(map(str, founders.ids)))
    assert abs(rest - 500) < 80
