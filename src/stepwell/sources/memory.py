"""Examples in memory: texts, an array of images, or images of unequal sizes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import UsageError
from stepwell.kit.files import there
from stepwell.sources.canvas import choose, fit
from stepwell.sources.layout import why_no_images
from stepwell.sources.pillow import extensions
from stepwell.sources.tones import scale_of, to_bytes

_TRIED = 32


def in_memory(where: Any, asked: str | None = None) -> tuple[str, Any]:
    """``"text"`` and a list of texts, or ``"image"`` and an array of images.

    Raises
    ------
    UsageError
        For anything else, such as names of files.
    """
    if isinstance(where, (set, frozenset, dict, bytes)) or not hasattr(where, "__len__"):
        raise _nothing(type(where).__name__)
    if hasattr(where, "columns"):
        raise _nothing("a table (give one of its columns, such as table['text'])")
    several = [*where] if isinstance(where, (list, tuple)) else []
    if not several:
        array = np.asarray(where)
        if array.dtype.kind not in "OUST" or array.ndim != 1:
            return "image", array
        several = array.tolist()
    if not several:
        return "image", np.asarray(where)
    first = several[0]
    if isinstance(first, Path) or (asked != "text" and _are_files(several)):
        raise UsageError(
            f"Expected texts or images, found names of files such as {str(first)!r}: give the "
            f"folder that holds them. (To learn from such names as texts, add kind='text'.)"
        )
    if isinstance(first, str):
        return "text", several
    return "image", _images(several)


def _nothing(name: str) -> UsageError:
    return UsageError(
        f"Expected a path, an array, a list of texts or images, or a source, found {name}: give "
        f"the folder or file with your data."
    )


def _are_files(several: Sequence[Any]) -> bool:
    """Whether most of the first strings are names of files that are there, or of images."""
    some = [each for each in islice(several, _TRIED) if isinstance(each, str)]
    known = extensions()
    named = sum(
        Path(each).suffix.lower() in known and "\n" not in each and len(each) < 1000
        for each in some
    )
    if some and 2 * named > len(some):
        return True
    files = sum(there(each) and Path(each).is_file() for each in some)
    return bool(some) and 2 * files > len(some)


def _images(several: Sequence[Any]) -> NDArray[Any]:
    """(n, h, w[, c]) of images that have one size, else on a common canvas, as bytes."""
    arrays = [_array(row, each) for row, each in enumerate(several)]
    if len({each.shape for each in arrays}) == 1:
        return np.stack(arrays)
    if any(each.ndim not in (2, 3) for each in arrays):
        return np.stack([np.zeros(0)])  # which says what is wrong with it
    arrays = [_last(each) for each in arrays]
    for row, each in enumerate(arrays):
        why = why_no_images((1, *each.shape), each.dtype)
        if not why and each.ndim == 3 and each.shape[2] not in (1, 3, 4):
            why = "has neither 1, 3 nor 4 channels"
        if why:
            raise UsageError(
                f"Expected images, found one in row {row} of shape {each.shape}: it {why}."
            )
    canvas = choose([(each.shape[0], each.shape[1]) for each in arrays])
    grey = all(each.ndim == 2 or each.shape[2] == 1 for each in arrays)
    scale = _scale(arrays)
    return np.concatenate(
        [fit(_coloured(to_bytes(each[None], scale), grey), canvas) for each in arrays]
    )


def _last(image: NDArray[Any]) -> NDArray[Any]:
    """With its channels last: (c, h, w) is what torch has."""
    first = image.ndim == 3 and image.shape[2] not in (1, 3, 4) and image.shape[0] in (1, 3, 4)
    return np.moveaxis(image, 0, -1) if first else image


def _array(row: int, image: Any) -> NDArray[Any]:
    """An image as numbers; one of Pillow's in colours that can be mixed."""
    if hasattr(image, "convert") and hasattr(image, "mode"):
        image = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
    elif not (hasattr(image, "__array__") or isinstance(image, (list, tuple))):
        raise UsageError(
            f"Expected texts or images, found {type(image).__name__} in row {row}: give arrays, or "
            f"the folder with your data."
        )
    try:
        return np.asarray(image)
    except (ValueError, TypeError) as error:
        raise UsageError(f"Expected an image in row {row}, found {error}.") from None


def _scale(arrays: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """What becomes black and white in all of them."""
    if all(each.dtype == np.uint8 for each in arrays):
        return 0, 255
    finite = [each[np.isfinite(each)] if each.dtype.kind == "f" else each for each in arrays]
    filled = [each for each in finite if each.size]
    low = min((float(each.min()) for each in filled), default=0.0)
    high = max((float(each.max()) for each in filled), default=1.0)
    return scale_of(low, high)


def _coloured(images: NDArray[np.uint8], grey: bool) -> NDArray[np.uint8]:
    """(1, h, w, c) with one channel where all are grey, else three."""
    images = images[..., None] if images.ndim == 3 else images
    if grey:
        return images
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images[..., :3]
