"""The one pass: what is known already is not encoded again, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import photo_windows

from stepwell.engines import Quantiser
from stepwell.engines.accumulate import Known, accumulate
from stepwell.engines.moments import DenseMoments
from stepwell.interfaces import Pairs, UsageError
from stepwell.pretexts import TwoViews
from stepwell.sources import open_source


class Means:
    """Mean colours of four quarters; counts what it was asked for."""

    def __init__(self):
        self.asked = 0

    def embed(self, batch):
        self.asked += len(batch)
        images = np.asarray(batch.data["image"], np.float32)
        n, side = len(images), images.shape[1] // 2
        return images.reshape(n, 2, side, 2, side, 3).mean((2, 4)).reshape(n, 12)


@pytest.mark.parametrize("known", [0, 7, 24])
@pytest.mark.parametrize("partners", [0.5, 2.0])
def test_known_codes_are_used_and_change_nothing(known, partners):
    batch = next(iter(open_source(photo_windows(24)).batches(24)))
    pretext = TwoViews("zoom", partners)
    quantiser = Quantiser.fit(Means().embed(batch))
    codes = quantiser(Means().embed(batch))
    found = []
    for memory in (Known((), None), Known(batch.ids[:known], codes[:known])):
        encoder, moments = Means(), DenseMoments(12)
        (seen,) = accumulate([batch], pretext, encoder, quantiser, moments, 0, memory)
        found.append((encoder.asked, seen, moments.law()))
    (asked, plain, law), (less, filled, same) = found
    assert asked - less == known
    np.testing.assert_array_equal(plain.codes, filled.codes)
    np.testing.assert_array_equal(plain.paired, filled.paired)
    np.testing.assert_array_equal(law.gamma, same.gamma)


class Neighbours:
    """Two units of each example; with what a pretext can say and this engine can't use."""

    def __init__(self, **more):
        self.more = more

    def pairs(self, batch, seed, epoch=0):
        rows = np.repeat(np.arange(len(batch)), 4)
        yield Pairs(batch.take(rows), np.arange(len(rows)) // 2, **self.more)


def test_units_have_the_same_names_in_any_chunks():
    batch = next(iter(open_source(photo_windows(12)).batches(12)))
    quantiser = Quantiser.fit(Means().embed(batch))
    found = []
    for size in (12, 5):
        parts = [batch.take(slice(i, i + size)) for i in range(0, 12, size)]
        tools = (Neighbours(), Means(), quantiser, DenseMoments(12), 0, Known((), None))
        found.append([name for one in accumulate(parts, *tools) for name in one.names])
    assert found[0] == found[1]
    assert len(set(found[0])) == 24


@pytest.mark.parametrize("more", [{"weight": np.ones(6)}, {"y": "partners"}])
def test_what_the_engine_can_not_use_is_refused(more):
    batch = next(iter(open_source(photo_windows(3)).batches(3)))
    tools = (Means(), Quantiser.fit(Means().embed(batch)), DenseMoments(12), 0, Known((), None))
    with pytest.raises(UsageError, match="has no use"):
        list(accumulate([batch], Neighbours(**more), *tools))
