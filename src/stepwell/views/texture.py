"""Views that blur, add noise, or hide a part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from stepwell.kit.hashing import uniform
from stepwell.views.base import F32, U, View, column


class Blur(View):
    """Gaussian blur with a width of up to strength of the side."""

    name, slots, default, summary = "blur", 1, 0.06, "width of up to strength of the side"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        width = self.strength * max(images.shape[1:3])
        sigma = np.maximum(u * width, 1e-3)
        reach = int(np.ceil(2.5 * width))
        taps = np.arange(-reach, reach + 1)
        weights = np.exp(-0.5 * (taps / sigma) ** 2)
        weights = weights / weights.sum(1, keepdims=True)
        for axis in (1, 2):
            images = _filter(images, weights, axis)
        return images


def _filter(images: F32, weights: NDArray, axis: int) -> F32:
    """Correlate along one axis with each image's own (n, taps) weights."""
    reach = weights.shape[1] // 2
    pad = [(0, 0)] * 4
    pad[axis] = (reach, reach)
    padded = np.pad(images, pad, mode="edge")
    size = images.shape[axis]
    total = np.zeros_like(images)
    for i in range(weights.shape[1]):
        part = padded[:, i : i + size] if axis == 1 else padded[:, :, i : i + size]
        total += column(weights[:, i]) * part
    return total


class Noise(View):
    """Gaussian noise of up to strength of the full range, a value a pixel and channel."""

    name, slots, default, summary = "noise", 1, 0.1, "noise of up to strength of the range"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        per_image = int(np.prod(images.shape[1:]))
        numbers = uniform(key ^ np.uint64(0x5DEECE66D), per_image) + 2.0**-54
        noise = ndtri(numbers).astype(np.float32).reshape(images.shape)
        return np.clip(images + noise * column(u[:, 0] * 255 * self.strength), 0, 255)


class Erase(View):
    """Fill a box of up to strength of the area with the image's mean colour."""

    name, slots, default, summary = "erase", 4, 0.2, "hides a box of up to strength of the area"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        area = self.strength * u[:, 0]
        aspect = np.exp(0.7 * (2 * u[:, 1] - 1))
        tall, wide = np.minimum(np.sqrt(area * aspect), 1), np.minimum(np.sqrt(area / aspect), 1)
        inside = []
        for share, place, size in zip((tall, wide), u[:, 2:].T, images.shape[1:3], strict=True):
            steps = (np.arange(size) + 0.5) / size
            start = (1 - share) * place
            inside.append((steps >= start[:, None]) & (steps < (start + share)[:, None]))
        box = inside[0][:, :, None, None] & inside[1][:, None, :, None]
        return np.where(box, images.mean((1, 2), keepdims=True), images)
