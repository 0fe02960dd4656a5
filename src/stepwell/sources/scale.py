"""Numbers of any type to 8 bits by their full range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def full_range(values: NDArray) -> tuple[float, float]:
    """What black and white are for an array, by its type; for floats by its values.

    Unsigned and signed integers: the range of their type, where wide integers that stay
    within 8 or 16 bits count as such. Floats: 0 … 1 or 0 … 255 if all values lie there,
    else their own smallest and largest.
    """
    if values.dtype == bool:
        return 0.0, 1.0
    if values.dtype.kind in "ui":
        if values.dtype.itemsize <= 2:
            info = np.iinfo(values.dtype)
            return float(info.min), float(info.max)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        for limit in (255.0, 65535.0):
            if low >= 0 and high <= limit:
                return 0.0, limit
        return low, high
    finite = values[np.isfinite(values)] if values.size else values
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return low, high


def to_bytes(values: NDArray, span: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Scale to 0 … 255 and round; uint8 stays as it is."""
    if values.dtype == np.uint8:
        return values
    low, high = span if span is not None else full_range(values)
    scaled = (values.astype(np.float64) - low) * (255.0 / max(high - low, 1e-300))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
