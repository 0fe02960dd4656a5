"""One example as a scrap of HTML: an image, a line, a few words."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch
from stepwell.kit.sampling import evenly

TINY = 64
"""Sides up to this are kept without loss; below it pixels are shown as squares."""
_LONG = 1.5  # sides further apart than this lose too much when cropped to a square
_LINES = 3  # more channels of a series than this can't be told apart at 48 px
_POINTS = 160  # points of a drawn line: about one per pixel


def picture_of(batch: Batch, row: int) -> str:
    """The example at ``row``, drawn by what the batch holds of it; at worst its id.

    Parameters
    ----------
    batch : Batch
    row : int

    Returns
    -------
    str
        Trusted markup: everything that came from the data is escaped in it.
    """
    if "image" in batch.data:
        return image_html(batch.data["image"][row])
    if "values" in batch.data:
        return series_html(batch.data["values"][row])
    if "text" in batch.data:
        return text_html(str(batch.data["text"][row]))
    return text_html(str(batch.ids[row]))


def image_html(pixels: Any, max_side: int = 96, *, lossless: bool = True) -> str:
    """An ``<img>`` that carries its pixels.

    Parameters
    ----------
    pixels : (h, w, c) or (h, w) uint8
        One channel or two: grey from the first. Three or more: colour from the first three.
        Other types are clipped to 0 … 255.
    max_side : int
        Larger images are made smaller, never smaller ones larger.
    lossless : bool
        False lets small images be lossy too: about a third of the bytes.

    Returns
    -------
    str
        ``<img>`` with a data URI; class ``tiny`` asks for square pixels, ``long`` asks not
        to be cropped to a square.
    """
    from PIL import Image

    image = Image.fromarray(_displayable(pixels))
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    width, height = image.size
    kind, raw = _encoded(image, lossless and max(width, height) <= TINY)
    name = "tiny" if max(width, height) < TINY else ""
    if max(width, height) > _LONG * min(width, height):
        name = f"{name} long".strip()
    classes = f' class="{name}"' if name else ""
    uri = f"data:image/{kind};base64,{base64.b64encode(raw).decode('ascii')}"
    return f'<img{classes} alt="" width="{width}" height="{height}" src="{uri}">'


def _displayable(pixels: Any) -> NDArray[np.uint8]:
    """(h, w) or (h, w, 3) uint8 of anything that looks like an image."""
    array = np.asarray(pixels)
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.dtype != np.uint8:
        array = np.clip(np.nan_to_num(array.astype(np.float64)), 0, 255).astype(np.uint8)
    if array.ndim == 3:
        array = array[..., :3] if array.shape[2] >= 3 else array[..., 0]
    if 0 in array.shape:
        array = np.zeros((1, 1), np.uint8)
    return np.ascontiguousarray(array)


def _encoded(image: Any, lossless: bool) -> tuple[str, bytes]:
    """(kind, bytes): the smaller of lossless WebP and PNG, or JPEG."""
    if not lossless:
        return "jpeg", _saved(image, "JPEG", quality=80, optimize=True)
    png = _saved(image, "PNG", optimize=True)
    try:
        webp = _saved(image, "WEBP", lossless=True, quality=80, method=4)
    except (KeyError, OSError):  # Pillow can be built without WebP
        return "png", png
    return ("webp", webp) if len(webp) < len(png) else ("png", png)


def _saved(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def series_html(values: Any, width: int = 160, height: int = 48) -> str:
    """A tiny line drawing of a series.

    Parameters
    ----------
    values : (t, c) or (t,) float
        Drawn on one common scale; gaps (NaN) break the line. At most three channels.
    width, height : int
        The drawing's own units; the page stretches it to its cell.

    Returns
    -------
    str
        ``<svg>``.
    """
    array = np.asarray(values, np.float64)
    array = array.reshape(len(array), array[:1].size)[:, :_LINES]
    array = evenly(array, _POINTS)
    finite = array[np.isfinite(array)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    scaled = (array - low) / (high - low) if high > low else np.where(array == array, 0.5, array)
    x = np.linspace(0, width, max(len(array), 1))
    y = (height - 4) * (1 - scaled) + 2
    lines = "".join(
        f'<path class="line line-{channel + 1}" vector-effect="non-scaling-stroke" '
        f'fill="none" d="{_path(x, y[:, channel])}"/>'
        for channel in range(y.shape[1])
    )
    return (
        f'<svg class="series" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'aria-hidden="true">{lines}</svg>'
    )


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Path data; the pen is lifted where y is not finite."""
    steps, down = [], False
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        if np.isfinite(py):
            steps.append(f"{'L' if down else 'M'}{px:.4g} {py:.4g}")
        down = bool(np.isfinite(py))
    return "".join(steps)


def text_html(text: str, limit: int = 160) -> str:
    """The beginning of a text, escaped.

    Parameters
    ----------
    text : str
    limit : int
        Characters shown; a longer text ends in an ellipsis at a word's end.

    Returns
    -------
    str
        ``<span>``.
    """
    words = " ".join(text.split())
    if len(words) > limit:
        head = words[:limit]
        # A language without spaces, or one endless word, is cut anywhere.
        cut = head.rfind(" ")
        words = (head[:cut] if cut > limit // 2 else head).rstrip() + "…"
    return f'<span class="text">{escape(words)}</span>'
