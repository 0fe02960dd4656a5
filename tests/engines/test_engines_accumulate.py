"""The one pass: what is known already is not encoded again, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import photo_windows

from stepwell.engines import Quantiser
from stepwell.engines.accumulate import Known, accumulate
from stepwell.engines.moments import DenseMoments
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
