"""Views that blur, add noise, or hide a part."""

from __future__ import annotations

from math import ceil, prod
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy.special import ndtri

from stepwell.kit.hashing import uniform
from stepwell.views.base import Images, Numbers, View, column, like


class Blur(View):
    """Gaussian blur with a width of up to strength of the side."""

    name, slots, default, summary = "blur", 1, 0.06, "width of up to strength of the side"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        xp = array_namespace(u)
        width = self.strength * max(images.shape[1:3])
        sigma = xp.clip(u * width, 1e-3, width + 1e-3)
        reach = ceil(2.5 * width)
        taps = like(images, np.arange(-reach, reach + 1) * 1.0)
        weights = xp.exp(-0.5 * (taps / sigma) ** 2)
        weights = weights / xp.sum(weights, axis=1, keepdims=True)
        for axis in (1, 2):
            images = _filter(images, weights, axis)
        return images


def _filter(images: Images, weights: Any, axis: int) -> Images:
    """Correlate along one axis with each image's own (n, taps) weights; the border repeats."""
    xp, size = array_namespace(images), images.shape[axis]
    reach = weights.shape[1] // 2
    places = np.clip(np.arange(-reach, size + reach), 0, size - 1)
    padded = xp.take(images, like(images, places), axis=axis)
    total = xp.zeros_like(images)
    for i in range(weights.shape[1]):
        part = padded[:, i : i + size] if axis == 1 else padded[:, :, i : i + size]
        total += column(weights[:, i]) * part
    return total


class Noise(View):
    """Gaussian noise of up to strength of the full range, a value a pixel and channel."""

    name, slots, default, summary = "noise", 1, 0.1, "noise of up to strength of the range"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        numbers = uniform(key ^ np.uint64(0x5DEECE66D), prod(images.shape[1:])) + 2.0**-54
        noise = like(images, ndtri(numbers).astype(np.float32)).reshape(images.shape)
        loud = column(u[:, 0] * 255 * self.strength)
        return array_namespace(images).clip(images + noise * loud, 0, 255)


class Erase(View):
    """Fill a box of up to strength of the area with the image's mean colour."""

    name, slots, default, summary = "erase", 4, 0.2, "hides a box of up to strength of the area"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        xp = array_namespace(images)
        area = self.strength * u[:, 0]
        aspect = xp.exp(0.7 * (2 * u[:, 1] - 1))
        inside = []
        for axis, share in enumerate((xp.sqrt(area * aspect), xp.sqrt(area / aspect))):
            share, size = xp.clip(share, 0, 1), images.shape[1 + axis]
            steps = like(images, (np.arange(size) + 0.5) / size)
            start = ((1 - share) * u[:, 2 + axis])[:, None]
            inside.append((steps >= start) & (steps < start + share[:, None]))
        box = inside[0][:, :, None, None] & inside[1][:, None, :, None]
        return xp.where(box, xp.mean(images, axis=(1, 2), keepdims=True), images)
