"""Simple known statistics of examples, by name: what a dimension is compared with.

A kind of data brings a function from a batch to named numbers, one per example; another
kind registers its own (entry points ``stepwell.statistics``, named by the kind).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch

F32 = NDArray[np.float32]
Statistics = Callable[[Batch], Mapping[str, NDArray]]
SHORT = 1e-6


def image_statistics(batch: Batch) -> dict[str, NDArray]:
    """Brightness, contrast, colours, edges and where they are, size of what stands out.

    Parameters
    ----------
    batch : Batch
        ``image`` (n, h, w, c) in [0, 255].

    Returns
    -------
    dict of name to (n,)
        What is told of a region is relative to the whole picture, so that a dimension is
        not said to see a corner where it sees the light everywhere.
    """
    images = np.asarray(batch.data["image"], np.float32)
    grey = images.mean(-1)
    across, down = _slope(grey, 2), _slope(grey, 1)
    upright, level = across**2, down**2
    light = grey.mean((1, 2))
    found = {
        "brightness": light,
        "contrast": grey.std((1, 2)),
        "detail": np.sqrt((upright + level).mean((1, 2))),
        "size of what stands out": _standing_out(grey),
        "vertical edges rather than horizontal edges": _balance(upright, level),
        "edges falling to the right rather than edges rising": -_balance(
            np.maximum(across * down, 0), np.maximum(-across * down, 0)
        ),
    }
    for name, (rows, columns) in _regions(*grey.shape[1:]).items():
        part = (slice(None), rows, columns)
        found[f"light {name}"] = grey[part].mean((1, 2)) - light
        found[f"vertical edges {name}"] = _share(upright, part)
        found[f"horizontal edges {name}"] = _share(level, part)
    return found | (_colours(images) if images.shape[-1] == 3 else {})


def _slope(grey: F32, axis: int) -> F32:
    """How fast it gets brighter along an axis; nothing where there is but one pixel."""
    return np.asarray(np.gradient(grey, axis=axis)) if grey.shape[axis] > 1 else np.zeros_like(grey)


def _colours(images: F32) -> dict[str, NDArray]:
    red, green, blue = images.mean((1, 2)).T
    grey = images.mean(-1, keepdims=True)
    return {
        "hue: red rather than cyan": red - (green + blue) / 2,
        "hue: green rather than magenta": green - (red + blue) / 2,
        "hue: blue rather than yellow": blue - (red + green) / 2,
        "colourfulness": np.abs(images - grey).mean((1, 2, 3)),
    }


def _regions(height: int, width: int) -> dict[str, tuple[slice, slice]]:
    """Named parts of a picture: halves, the middle, corners."""

    def cut(size: int, low: float, high: float) -> slice:
        first = min(int(size * low), size - 1)
        return slice(first, max(first + 1, round(size * high)))

    rows = {"upper": (0, 1 / 2), "lower": (1 / 2, 1)}
    columns = {"left": (0, 1 / 2), "right": (1 / 2, 1)}
    whole = slice(None)
    found = {f"in the {name} half": (cut(height, *span), whole) for name, span in rows.items()}
    found |= {f"in the {name} half": (whole, cut(width, *span)) for name, span in columns.items()}
    found["in the middle"] = (cut(height, 1 / 4, 3 / 4), cut(width, 1 / 4, 3 / 4))
    for vertical, high in (("upper", (0, 1 / 4)), ("lower", (3 / 4, 1))):
        for side, wide in (("left", (0, 1 / 4)), ("right", (3 / 4, 1))):
            found[f"in the {vertical} {side} corner"] = (cut(height, *high), cut(width, *wide))
    return found


def _balance(one: F32, other: F32) -> NDArray:
    """-1 … 1: how much more of one than of the other."""
    first, second = one.mean((1, 2)), other.mean((1, 2))
    return np.asarray((first - second) / (first + second + SHORT))


def _share(energy: F32, part: tuple[slice, slice, slice]) -> NDArray:
    """How much of the energy of a picture lies in a part of it."""
    return np.asarray(energy[part].sum((1, 2)) / (energy.sum((1, 2)) + SHORT))


def _standing_out(grey: F32) -> NDArray:
    """Share of pixels that differ from the picture's border."""
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    far = np.abs(grey - np.median(border, axis=1)[:, None, None])
    return np.asarray((far > 24).mean((1, 2)))


def text_statistics(batch: Batch) -> dict[str, NDArray]:
    """Length of a text and of its words, and shares of kinds of signs.

    Parameters
    ----------
    batch : Batch
        ``text`` (n,).
    """
    texts = [str(text) for text in batch.data["text"]]
    words = [text.split() or [""] for text in texts]

    def share(kind: Callable[[str], bool]) -> NDArray:
        return np.array([sum(map(kind, text)) / max(len(text), 1) for text in texts])

    return {
        "length": np.log([len(each) for each in words]),
        "long words": np.array([np.mean([len(word) for word in each]) for each in words]),
        "digits": share(str.isdigit),
        "capitals": share(str.isupper),
        "signs between words": share(lambda sign: not sign.isalnum() and not sign.isspace()),
    }


STATISTICS: dict[str, Statistics] = {"image": image_statistics, "text": text_statistics}
"""By kind of data."""
