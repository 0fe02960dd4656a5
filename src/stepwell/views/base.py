"""What every view is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

Images = Any
"""(n, h, w, c) float32 of any library that follows the array API standard, on any device."""
Numbers = Any
"""Uniform numbers in [0, 1), of the same library and device."""


class View(ABC):
    """A random change of images that should leave what they show as it is.

    Parameters
    ----------
    strength : float
        In the view's own unit, see each class; 0 changes nothing.

    Raises
    ------
    ValueError
        If it is not within 0 … ``most``.
    """

    name: ClassVar[str]
    slots: ClassVar[int]
    """How many uniform numbers one application needs."""
    default: ClassVar[float]
    most: ClassVar[float] = 1.0
    summary: ClassVar[str]

    def __init__(self, strength: float | None = None) -> None:
        self.strength = self.default if strength is None else strength
        if not 0 <= self.strength <= self.most:
            raise ValueError(f"strength of {self.name}: 0 to {self.most:g}")

    @abstractmethod
    def apply(self, images: Images, u: Numbers, key: NDArray[np.uint64]) -> Images:
        """Change (n, h, w, c) images in [0, 255] as (n, slots) uniform numbers say.

        Images and numbers may be of any array library. ``key`` (n,), of numpy, is there for
        views that need a number per pixel.
        """

    def __repr__(self) -> str:
        return f"{self.name}:{self.strength:g}"


def like(images: Images, values: Any) -> Any:
    """Values as an array of the images' library, where the images are."""
    xp, place = array_namespace(images), device(images)
    if str(place).startswith("mps") and np.asarray(values).dtype == np.float64:
        values = np.asarray(values, np.float32)  # all that Apple's devices know
    return xp.asarray(values, device=place)


def column(values: Any) -> Images:
    """(n,) → (n, 1, 1, 1) float32, to multiply images with."""
    xp = array_namespace(values)
    return xp.astype(values, xp.float32)[:, None, None, None]


def around_one(u: Numbers, strength: float) -> Images:
    """Factors uniform in [1 - strength, 1 + strength], as a column."""
    return column(1 + strength * (2 * u - 1))
