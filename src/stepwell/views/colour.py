"""Views that change colour. Those that need three channels leave other images alone."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from stepwell.views.base import Images, Numbers, View, around_one, like

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(images: Images) -> Images:
    """(n, h, w, 3) → (n, h, w, 1)."""
    return (images @ like(images, LUMA))[..., None]


def clip(images: Images) -> Images:
    """Back into [0, 255]; in place where that saves a copy."""
    if is_numpy_array(images):
        return np.clip(images, 0, 255, out=images)
    return array_namespace(images).clip(images, 0, 255)


class Brightness(View):
    """Multiply by 1 ± strength."""

    name, slots, default, summary = "brightness", 1, 0.4, "multiplies by 1 ± strength"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        return clip(images * around_one(u[:, 0], self.strength))


class Contrast(View):
    """Stretch around the image's own mean by 1 ± strength."""

    name, slots, default, summary = "contrast", 1, 0.4, "stretches around the mean, 1 ± strength"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        mean = array_namespace(images).mean(images, axis=(1, 2, 3), keepdims=True)
        return clip((images - mean) * around_one(u[:, 0], self.strength) + mean)


class Saturation(View):
    """Mix with the grey image: 1 ± strength of the colour."""

    name, slots, default, summary = "saturation", 1, 0.4, "1 ± strength of the colour"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        if images.shape[-1] != 3:
            return images
        flat = luma(images)
        return clip((images - flat) * around_one(u[:, 0], self.strength) + flat)


class Gain(View):
    """Multiply each channel by its own 1 ± strength: another white balance."""

    name, slots, default, summary = "gain", 3, 0.15, "each channel by its own 1 ± strength"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        if images.shape[-1] != 3:
            return images
        xp = array_namespace(u)
        factors = xp.astype(1 + self.strength * (2 * u - 1), xp.float32)
        return clip(images * factors[:, None, None, :])


class Grey(View):
    """Take all colour away, with probability strength."""

    name, slots, default, summary = "grey", 1, 0.2, "no colour, with probability strength"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        if images.shape[-1] != 3:
            return images
        xp = array_namespace(images)
        (chosen,) = xp.nonzero(u[:, 0] < self.strength)
        images = xp.asarray(images, copy=True)
        images[chosen] = luma(images[chosen])
        return images
