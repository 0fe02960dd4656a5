"""Bytes to pixels: every format and mode Pillow reads, scaled rightly, never clipped."""

from __future__ import annotations

import io
import threading
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.sources.scale import to_bytes

U8 = NDArray[np.uint8]
LARGEST = 200_000_000
"""Pixels; more is refused by the header alone, before any memory is taken."""
_BIG = 25_000_000
_one_big = threading.Semaphore(1)  # huge images are decoded one at a time, to bound memory


class Unreadable(Exception):
    """Why one example can't be read, in words for its owner."""


def opened(content: bytes) -> Any:
    """A lazily opened Pillow image; only its header has been read.

    Raises
    ------
    Unreadable
    """
    from PIL import Image, UnidentifiedImageError

    if not content:
        raise Unreadable("empty file")
    Image.MAX_IMAGE_PIXELS = None  # the limit below is ours, and an error rather than a warning
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise Unreadable(f"not an image: the content is {_looks_like(content)}") from None
    except Exception as error:
        raise Unreadable(f"damaged image: {error}") from None
    if image.width * image.height > LARGEST:
        raise Unreadable(
            f"{image.width} x {image.height} pixels: more than {LARGEST // 10**6} megapixels"
        )
    return image


def _looks_like(content: bytes) -> str:
    head = content[:512]
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        text = head[: error.start].decode("utf-8") if error.start > 500 else "\0"
    return "text" if all(c.isprintable() or c.isspace() for c in text) else "of no known format"


def decode(content: bytes, canvas: int) -> U8:
    """An image file as (canvas, canvas, 3) RGB, squeezed to a square.

    Turned as its EXIF says; transparent parts on white; 16-bit and float data scaled to
    8 bits by their full range. Large JPEGs are decoded at a reduced scale, never below
    the canvas. Where the size is right already no pixel is changed.

    Raises
    ------
    Unreadable
    """
    image = opened(content)
    big = image.width * image.height > _BIG
    if big:
        _one_big.acquire()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _pixels(image, canvas)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("needs more memory than there is") from None
    except Exception as error:
        reason = str(error) or type(error).__name__
        word = "truncated" if "truncat" in reason.lower() else "damaged"
        raise Unreadable(f"{word} image: {reason}") from None
    finally:
        if big:
            _one_big.release()


def _pixels(image: Any, canvas: int) -> U8:
    from PIL import Image, ImageOps

    image.draft("RGB", (canvas, canvas))  # JPEG only: decodes at 1/2, 1/4 or 1/8
    turned = image.getexif().get(0x0112, 1) != 1
    deep = image.mode.startswith(("I", "F"))
    if deep:
        image = Image.fromarray(to_bytes(np.asarray(image)))
    if max(image.size) > 2 * canvas and image.mode in ("RGB", "L", "RGBA", "CMYK", "LA"):
        # Shrinking by whole factors first: a fraction of the memory of a full conversion.
        factor = max(1, min(image.size) // (2 * canvas))
        image = image.reduce(factor) if factor > 1 else image
    image = flattened(image)
    if turned:
        image = ImageOps.exif_transpose(image)
    if image.size != (canvas, canvas):
        # BOX averages the area a pixel covers: no ringing, and the fastest.
        shrink = min(image.size) >= canvas
        how = Image.Resampling.BOX if shrink else Image.Resampling.BILINEAR
        image = image.resize((canvas, canvas), how)
    return np.array(image, np.uint8)


def flattened(image: Any) -> Any:
    """Any Pillow mode as RGB; transparency on white."""
    from PIL import Image

    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        white.alpha_composite(clear)
        return white.convert("RGB")
    exif = image.getexif()
    plain = image.convert("RGB")
    if exif:
        plain.info.setdefault("exif", exif.tobytes())
    return plain
