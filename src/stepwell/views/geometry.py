"""Views that move pixels: one bilinear sampler, and the maps that drive it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.views.base import F32, U, View


def _taps(position: NDArray, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], F32]:
    """Lower and upper neighbour and the share of the upper; outside repeats the border."""
    position = np.clip(position, 0, size - 1)
    low = position.astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (position - low).astype(np.float32)


def sample(images: F32, y: NDArray, x: NDArray) -> F32:
    """Bilinear: (n, h, w, c) images read at pixel positions y, x of shape (n, h, w)."""
    n, height, width, channels = images.shape
    y0, y1, fy = _taps(y, height)
    x0, x1, fx = _taps(x, width)
    flat = images.reshape(-1, channels)
    base = (np.arange(n) * height * width)[:, None, None]
    fy, fx = fy[..., None], fx[..., None]
    top = flat[base + y0 * width + x0] * (1 - fx) + flat[base + y0 * width + x1] * fx
    low = flat[base + y1 * width + x0] * (1 - fx) + flat[base + y1 * width + x1] * fx
    return top * (1 - fy) + low * fy


def sample_box(images: F32, y: NDArray, x: NDArray) -> F32:
    """The same where rows and columns move apart: positions y (n, h), x (n, w)."""
    rows = np.arange(len(images))[:, None]
    low, high, share = _taps(y, images.shape[1])
    share = share[..., None, None]
    tall = images[rows, low] * (1 - share) + images[rows, high] * share
    low, high, share = _taps(x, images.shape[2])
    share = share[..., None, None]
    tall = tall.transpose(0, 2, 1, 3)
    wide = tall[rows, low] * (1 - share) + tall[rows, high] * share
    return np.ascontiguousarray(wide.transpose(0, 2, 1, 3))


def _centred(size: int) -> NDArray:
    """Pixel positions measured from the middle, in pixels."""
    return np.arange(size) - (size - 1) / 2


class Flip(View):
    """Mirror left to right, with probability strength."""

    name, slots, default, summary = "flip", 1, 0.5, "mirrors left to right, with probability"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        chosen = (u[:, 0] < self.strength)[:, None, None, None]
        return np.where(chosen, images[:, :, ::-1], images)


class Crop(View):
    """Zoom into a part of area 1 - strength … 1, aspect ± 20 %, back to full size."""

    name, slots, default, summary = "crop", 4, 0.5, "zooms into a part of area 1 - strength … 1"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        area = 1 - self.strength * u[:, 0]
        aspect = np.exp(np.log(1.2) * (2 * u[:, 1] - 1)) if self.strength else np.ones(len(u))
        return self._cut(images, np.sqrt(area * aspect), np.sqrt(area / aspect), u[:, 2:])

    @staticmethod
    def _cut(images: F32, tall: NDArray, wide: NDArray, corner: NDArray) -> F32:
        positions = []
        for share, place, size in zip((tall, wide), corner.T, images.shape[1:3], strict=True):
            extent = np.minimum(share, 1)[:, None] * size
            steps = (np.arange(size) + 0.5) / size
            positions.append((size - extent) * place[:, None] + extent * steps - 0.5)
        return sample_box(images, *positions)


class Scaling(View):
    """Larger or smaller about the middle by up to 1 + strength; the border repeats."""

    name, slots, default, summary = "scaling", 1, 0.25, "larger or smaller, up to 1 + strength"
    most = 4.0

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        factor = np.exp(np.log1p(self.strength) * (2 * u[:, 0] - 1))[:, None]
        y, x = ((s - 1) / 2 + _centred(s) * factor for s in images.shape[1:3])
        return sample_box(images, y, x)


class Translation(View):
    """Move by up to strength of the side each way; the border repeats."""

    name, slots, default, summary = "translation", 2, 0.1, "moves by up to strength of the side"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        move = self.strength * (2 * u - 1)
        y, x = (
            np.arange(size) + move[:, i, None] * size for i, size in enumerate(images.shape[1:3])
        )
        return sample_box(images, y, x)


class Rotation(View):
    """Turn by up to strength degrees about the middle; the border repeats."""

    name, slots, default, summary = "rotation", 1, 15.0, "turns by up to strength degrees"
    most = 180.0

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        angle = np.deg2rad(self.strength * (2 * u[:, 0] - 1))[:, None, None]
        height, width = images.shape[1:3]
        y, x = _centred(height)[None, :, None], _centred(width)[None, None, :]
        sine, cosine = np.sin(angle), np.cos(angle)
        return sample(
            images,
            (height - 1) / 2 + cosine * y - sine * x,
            (width - 1) / 2 + sine * y + cosine * x,
        )
