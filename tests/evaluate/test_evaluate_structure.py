"""Effective dimensions: what noise has and real examples do not."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.evaluate.structure import spread


@pytest.mark.parametrize("count", [60, 400])
def test_noise_fills_all_dimensions_however_few_there_are(count):
    rows = np.random.default_rng(0).standard_normal((count, 300))
    assert spread(rows) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("rank", [3, 30])
def test_so_many_directions_so_large_a_share(rank):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((300, rank)))[0]
    rows = rng.standard_normal((1000, rank)) @ basis.T
    assert spread(rows) == pytest.approx(rank / 300, rel=0.1)
    assert spread(5 * rows + 7) == pytest.approx(spread(rows))
