"""Pictures: true pixels, small files, escaped text."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from stepwell.interfaces import Batch
from stepwell.report import image_html, picture_of, series_html, text_html


def decoded(markup: str) -> np.ndarray:
    found = re.search(r"base64,([^\"]+)", markup)
    assert found is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB"))


@pytest.mark.parametrize("side", [8, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_small_images_keep_every_pixel(side: int, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, channels), dtype=np.uint8)
    shown = decoded(image_html(pixels))
    expected = pixels[..., :3] if channels >= 3 else pixels[..., :1].repeat(3, -1)
    assert (shown == expected).all()
    assert ('class="tiny"' in image_html(pixels)) == (side < 64)


def test_large_images_become_small_jpegs() -> None:
    y, x = np.mgrid[:300, :400]
    pixels = np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)
    markup = image_html(pixels)
    assert "image/jpeg" in markup
    assert 'width="96" height="72"' in markup
    assert len(markup) < 8_000


def test_long_images_ask_not_to_be_cropped() -> None:
    assert 'class="long"' in image_html(np.zeros((40, 90, 3), np.uint8))
    assert 'class="tiny long"' in image_html(np.zeros((8, 30, 3), np.uint8))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((5, 5)),
        np.full((5, 5, 3), np.nan),
        np.ones((4, 4, 1), bool),
        np.zeros((0, 4, 3), np.uint8),
        np.full((4, 4, 3), 1e9, np.float32),
        np.zeros((2, 500, 3), np.uint8),
    ],
    ids=["grey float", "nan", "bool", "empty", "huge", "strip"],
)
def test_odd_pixels_still_give_an_image(pixels: np.ndarray) -> None:
    assert decoded(image_html(pixels)).size


def test_series_breaks_at_gaps() -> None:
    values = np.sin(np.arange(50))[:, None].repeat(5, 1)
    values[20:25, 0] = np.nan
    markup = series_html(values)
    assert markup.count("<path") == 3
    assert markup.split("<path")[1].count("M") == 2
    assert "nan" not in markup


@pytest.mark.parametrize(
    "values", [np.zeros((10, 1)), np.full((4, 2), np.nan), np.ones(1), np.zeros((0, 1))]
)
def test_flat_and_empty_series(values: np.ndarray) -> None:
    assert series_html(values).startswith("<svg")
    assert "nan" not in series_html(values)


def test_long_series_are_thinned() -> None:
    assert len(series_html(np.random.default_rng(0).standard_normal((100_000, 2)))) < 6_000


def test_text_is_escaped_and_cut_at_a_word() -> None:
    assert text_html("a < b & c\n\n d") == '<span class="text">a &lt; b &amp; c d</span>'
    assert text_html("one two three", limit=9) == '<span class="text">one two…</span>'
    assert text_html("x" * 50, limit=9) == f'<span class="text">{"x" * 9}…</span>'


def batch(**data: object) -> Batch:
    ids = np.array(["<a>.jpg", "b"])
    return Batch(ids, data, ids, np.zeros((2, 2), np.uint64))


def test_the_batch_decides() -> None:
    assert picture_of(batch(image=np.zeros((2, 8, 8, 3), np.uint8)), 0).startswith("<img")
    assert picture_of(batch(values=np.zeros((2, 9, 1))), 1).startswith("<svg")
    assert "hello" in picture_of(batch(text=np.array(["hello", "there"])), 0)
    assert "&lt;a&gt;.jpg" in picture_of(batch(state=np.zeros((2, 3))), 0)
