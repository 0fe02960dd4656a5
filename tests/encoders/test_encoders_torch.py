"""The same features and sums on torch tensors; skipped where torch is not installed."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import photo_windows

import stepwell
from stepwell.encoders import PatchEncoder
from stepwell.engines import DenseMoments

torch = pytest.importorskip("torch", reason="torch is an optional part")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def windows():
    """Windows of scikit-learn's two photographs."""
    return photo_windows(120)


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_encodes_on_a_device_what_numpy_does(windows, tmp_path, device):
    made = {where: PatchEncoder("fast", device=where) for where in (None, device)}
    found = {
        where: stepwell.learn(windows, tmp_path / str(where), encoder=encoder, report=False)
        for where, encoder in made.items()
    }
    one, two = (found[where].embed(windows) for where in (None, device))
    assert one.shape == two.shape
    assert np.abs(one @ one.T - two @ two.T).max() < 0.05  # up to rotation, and to rounding


@pytest.mark.parametrize("device", DEVICES)
def test_sums_of_tensors_are_the_same_integers(device):
    codes = np.random.default_rng(0).integers(-63, 64, (200, 30)).astype(np.int8)
    unit = np.tile(np.arange(100), 2)
    here, there = DenseMoments(30), DenseMoments(30)
    here.add(codes, unit)
    there.add(torch.as_tensor(codes).to(device), unit)
    for name in ("outer", "square", "sum"):
        found = there.buckets[2][name].cpu().numpy()
        np.testing.assert_array_equal(found, here.buckets[2][name])
