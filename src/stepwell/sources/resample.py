"""Arrays of images with any number of channels to a square canvas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_canvas(images: NDArray[np.uint8], canvas: int) -> NDArray[np.uint8]:
    """(n, h, w, c) → (n, canvas, canvas, c); untouched where the size is right."""
    if images.shape[1:3] == (canvas, canvas):
        return images
    from PIL import Image

    shrink = min(images.shape[1:3]) >= canvas
    how = Image.Resampling.BOX if shrink else Image.Resampling.BILINEAR
    out = np.empty((len(images), canvas, canvas, images.shape[3]), np.uint8)
    for i, image in enumerate(images):
        for channel in range(image.shape[-1]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            out[i, ..., channel] = np.asarray(plane.resize((canvas, canvas), how))
    return out
