"""Views that change colour. Those that need three channels leave other images alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.views.base import F32, U, View, around_one

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(images: F32) -> F32:
    """(n, h, w, 3) → (n, h, w, 1)."""
    return (images @ LUMA)[..., None]


def clip(images: F32) -> F32:
    """Back into [0, 255]."""
    return np.clip(images, 0, 255, out=images)


class Brightness(View):
    """Multiply by 1 ± strength."""

    name, slots, default, summary = "brightness", 1, 0.4, "multiplies by 1 ± strength"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        return clip(images * around_one(u[:, 0], self.strength))


class Contrast(View):
    """Stretch around the image's own mean by 1 ± strength."""

    name, slots, default, summary = "contrast", 1, 0.4, "stretches around the mean, 1 ± strength"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        mean = images.mean((1, 2, 3), keepdims=True)
        return clip((images - mean) * around_one(u[:, 0], self.strength) + mean)


class Saturation(View):
    """Mix with the grey image: 1 ± strength of the colour."""

    name, slots, default, summary = "saturation", 1, 0.4, "1 ± strength of the colour"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        if images.shape[-1] != 3:
            return images
        flat = luma(images)
        return clip((images - flat) * around_one(u[:, 0], self.strength) + flat)


class Gain(View):
    """Multiply each channel by its own 1 ± strength: another white balance."""

    name, slots, default, summary = "gain", 3, 0.15, "each channel by its own 1 ± strength"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        if images.shape[-1] != 3:
            return images
        factors = 1 + self.strength * (2 * u - 1)
        return clip(images * factors.astype(np.float32)[:, None, None, :])


class Grey(View):
    """Take all colour away, with probability strength."""

    name, slots, default, summary = "grey", 1, 0.2, "no colour, with probability strength"

    def apply(self, images: F32, u: U, key: NDArray) -> F32:
        if images.shape[-1] != 3:
            return images
        chosen = np.flatnonzero(u[:, 0] < self.strength)
        images = images.copy()
        images[chosen] = luma(images[chosen])
        return images
