"""Tones: whatever numbers an image holds, as 0 … 255, its order and full scale kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.sources.pillow import Unreadable, pillow

PART = 2**20
"""Numbers that are scaled at a time."""
Scale = tuple[float, float]
"""The numbers that become 0 and 255."""


def scale_of(low: float, high: float) -> Scale:
    """Scale of numbers that lie within [low, high].

    [0, 1] and [0, 255] are taken for what they are everywhere; anything else stretches
    from its own lowest to its own highest.
    """
    for top in (1.0, 255.0):
        if low >= 0 and high <= top:
            return 0.0, top
    return float(low), float(high)


def to_bytes(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Numbers as bytes: scale[0] → 0, scale[1] → 255, rounded; beyond it, the nearer end."""
    if values.dtype == np.uint8 and scale == (0, 255):
        return values
    found = np.zeros(values.shape, np.uint8)
    if scale[1] > scale[0]:
        _fill(found, values, scale)
    return found


def _fill(found: NDArray[np.uint8], values: NDArray[Any], scale: Scale) -> None:
    """The same, of a part at a time: numbers in between take eight times the memory of bytes."""
    if values.size > PART and values.ndim:
        # Along the longest axis, for a block may be a single large image.
        axis = int(np.argmax(values.shape))
        half = values.shape[axis] // 2
        for part in (slice(0, half), slice(half, None)):
            place = (slice(None),) * axis + (part,)
            _fill(found[place], values[place], scale)
        return
    low, high = scale
    share = (values.astype(np.float64) - low) * (255.0 / (high - low))
    found[...] = np.clip(np.rint(share), 0, 255)


def to_rgb(image: Any) -> Callable[[Any], Any]:
    """How this image becomes RGB: a function of the image, or of strips cut from it."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return partial(_from_deep, scale=_deep_scale(image))
    if image.has_transparency_data:
        return _over_white
    if image.mode == "RGB":
        return lambda part: part
    return lambda part: part.convert("RGB")


def _deep_scale(image: Any) -> Scale:
    """Scale of an image with more than 8 bits.

    One of 16 bits keeps its full range, so that dark stays dark; numbers beyond it
    have no range of their own and are stretched.
    """
    if image.mode.startswith("I;16"):
        return 0, 65535
    low, high = image.getextrema()
    if image.mode == "I":
        return (0, 65535) if low >= 0 and high <= 65535 else (low, high)
    return scale_of(low, high)


def _from_deep(part: Any, scale: Scale) -> Any:
    values = np.asarray(part)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unreadable("it holds numbers that are not finite")
    return pillow().fromarray(to_bytes(values, scale)).convert("RGB")


def _over_white(part: Any) -> Any:
    """Transparent pixels show white paper; their hidden colour is an accident."""
    if part.mode == "La":
        part = part.convert("LA")
    part = part.convert("RGBA")
    paper = pillow().new("RGB", part.size, "white")
    paper.paste(part, mask=part)
    return paper
