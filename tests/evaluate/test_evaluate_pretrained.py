"""The frozen fifth control, with small networks written here."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import write_network

from stepwell.evaluate.pretrained import MEAN, SPREAD, Frozen
from stepwell.interfaces import UsageError
from stepwell.sources import open_source

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def images(n=5, channels=3):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 16, 16, channels), np.uint8)
    return next(iter(open_source(pixels).batches(n)))


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), ("n", 3, 24, 24), (2, 3, 24, 24)])
def test_features_are_the_first_output_averaged_over_positions(tmp_path, shape, pooled):
    batch = images()
    found = Frozen(write_network(tmp_path / "net.onnx", shape, pooled=pooled))(batch)
    expected = (batch.data["image"].mean((1, 2)) / 255 - MEAN) / SPREAD
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found, expected, atol=0.05)  # resizing moves means a little


def test_grey_images_are_shown_in_three_channels(tmp_path):
    found = Frozen(write_network(tmp_path / "net.onnx"))(images(channels=1))
    grey = found * SPREAD + MEAN
    np.testing.assert_allclose(grey, grey[:, :1] * np.ones(3), atol=1e-5)


def test_what_is_no_network_is_refused(tmp_path):
    with pytest.raises(UsageError, match="found none at"):
        Frozen(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UsageError, match="can't be opened"):
        Frozen(tmp_path / "text.onnx")
    with pytest.raises(UsageError, match="network for images"):
        Frozen(write_network(tmp_path / "five.onnx", ("n", 5, 8, 8)))


def test_other_data_is_refused(tmp_path):
    batch = images().with_data(text=np.array(["a"] * 5))
    with pytest.raises(UsageError, match="found other data"):
        Frozen(write_network(tmp_path / "net.onnx"))(batch)
