"""Which arrays are images, and where their channels are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stepwell.interfaces import UsageError

_USUAL = (1, 3, 4)
MOST_ROW = 2**28
"""Bytes of one image."""


def channels_first(shape: tuple[int, ...], told: str | None = None) -> bool:
    """Whether an array of images is (n, c, h, w) rather than (n, h, w, c).

    Channels are last, unless only the other reading makes sense: the last axis is not
    1, 3 or 4 long, and the second one is, or the last two alone are equal.
    """
    if told not in (None, "first", "last"):
        raise UsageError(f"Expected channels 'first' or 'last', found {told!r}.")
    if len(shape) != 4:
        return False
    if told:
        return told == "first"
    _, second, third, last = shape
    return last not in _USUAL and (second in _USUAL or second != third == last)


def why_no_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Why an array can't be images, with what to do; empty if it can."""
    if dtype.kind == "O":
        return "holds Python objects: save it as an array of numbers"
    if dtype.kind not in "biuf":
        return f"holds {dtype}, not real numbers: convert it"
    if len(shape) == 2 and shape[1] > 1:
        return "is a table: reshape each row to height × width, (n, h, w)"
    if len(shape) not in (3, 4):
        return f"has {len(shape)} axes: reshape it to (n, h, w) or (n, h, w, c)"
    if 0 in shape:
        return "is empty"
    if min(shape) < 0:
        return "has an axis of negative length: write it again"
    if math.prod(shape[1:]) * dtype.itemsize > MOST_ROW:
        return f"has images of more than {MOST_ROW // 10**6} MB each: make them smaller"
    if len(shape) == 3 and shape[2] <= 4 < shape[1]:
        return "looks like a single image: put it into an array of shape (1, h, w, c)"
    return ""


def expect_images(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
    """Check that an array can be images.

    Raises
    ------
    UsageError
    """
    problem = why_no_images(shape, dtype)
    if problem:
        raise UsageError(
            f"Expected images (n, h, w) or (n, h, w, c) in {name}, found an array of shape "
            f"{shape} which {problem}."
        )
