"""What every view is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U = NDArray[np.float64]


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
    def apply(self, images: F32, u: U, key: NDArray[np.uint64]) -> F32:
        """Change (n, h, w, c) images in [0, 255] as (n, slots) uniform numbers say.

        ``key`` (n,) is there for views that need a number per pixel.
        """

    def __repr__(self) -> str:
        return f"{self.name}:{self.strength:g}"


def column(values: NDArray) -> F32:
    """(n,) → (n, 1, 1, 1) float32, to multiply images with."""
    return values.astype(np.float32)[:, None, None, None]


def around_one(u: NDArray, strength: float) -> F32:
    """Factors uniform in [1 - strength, 1 + strength], as a column."""
    return column(1 + strength * (2 * u - 1))
