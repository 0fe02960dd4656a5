"""The square all images of a source are squeezed into."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import UsageError
from stepwell.sources.pillow import pillow, resample

LARGEST = 128
"""Side of the default canvas where images are larger: what patches can tell apart needs
no more, and a pass over photographs stays quick."""
SMALLEST = 8


def choose(sizes: Iterable[tuple[int, int]]) -> int:
    """Side of the canvas for images of these (height, width).

    Images of one square size up to 128 keep it; otherwise the side of a square as large
    as the median image, within 8 … 128.
    """
    known = np.array(list(sizes), dtype=np.int64).reshape(-1, 2)
    if not len(known):
        return LARGEST
    side = round(float(np.median(np.sqrt(known.prod(1, dtype=np.float64)))))
    return min(LARGEST, max(SMALLEST, side))


def checked(canvas: int | None) -> int | None:
    """``canvas`` itself, if it is a side that makes sense.

    Raises
    ------
    UsageError
    """
    if canvas is None:
        return None
    if isinstance(canvas, bool) or not isinstance(canvas, (int, np.integer)):
        raise UsageError(f"Expected canvas as a number of pixels, found {canvas!r}.")
    if not SMALLEST <= canvas <= 4096:
        raise UsageError(f"Expected a canvas of {SMALLEST} to 4096 pixels, found {canvas}.")
    return int(canvas)


def fit(images: NDArray[np.uint8], canvas: int) -> NDArray[np.uint8]:
    """(n, h, w, c) → (n, canvas, canvas, c), untouched where it fits already."""
    n, height, width, channels = images.shape
    if height == width == canvas:
        return np.array(images, order="C")  # a copy: a batch is never a window on its source
    library, side = pillow(), (canvas, canvas)
    how = resample((width, height), canvas)
    fitted = np.empty((n, canvas, canvas, channels), np.uint8)
    for i, image in enumerate(images):
        for c in range(channels):
            plane = library.fromarray(np.ascontiguousarray(image[:, :, c]))
            fitted[i, :, :, c] = np.asarray(plane.resize(side, how, reducing_gap=3.0))
    return fitted
