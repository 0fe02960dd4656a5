"""The bytes of an image file to pixels of the canvas, or the reason why not."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.sources.notes import named, without_notes
from stepwell.sources.pillow import (
    LARGE_PIXELS,
    MOST_DECODED,
    MOST_PIXELS,
    Unreadable,
    formats,
    one_at_a_time,
    pillow,
    resample,
)
from stepwell.sources.tones import to_rgb

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What undoes each value of the EXIF tag Orientation (EXIF 2.3, 4.6.4)."""


_OF_NOTES = "text chunk"
"""What Pillow says where the notes of a PNG are larger than it reads."""


def decode(content: bytes, canvas: int) -> NDArray[np.uint8]:
    """Pixels of an image file.

    The first frame, upright, squeezed to a square, over white where transparent.

    Parameters
    ----------
    content : bytes
        The whole file, in any format Pillow reads.
    canvas : int
        Side of the square; an image of just this size is not resampled.

    Returns
    -------
    (canvas, canvas, 3) uint8

    Raises
    ------
    Unreadable
        With a reason a person understands.
    """
    try:
        return _decoded(_opened(content), canvas)
    except Unreadable as error:
        plain = without_notes(content) if _OF_NOTES in str(error) else content
        if len(plain) == len(content):
            raise
    return _decoded(_opened(plain), canvas)


def _decoded(image: Any, canvas: int) -> NDArray[np.uint8]:
    """Pixels of an image of which only the header has been read."""
    # A JPEG can be decoded at 1/2, 1/4 or 1/8 in a fraction of the time; draft never goes
    # below what is asked for. Other formats ignore it.
    image.draft(None, (canvas, canvas))
    width, height = image.size
    if width * height * _held_bytes(image) > MOST_DECODED:
        raise Unreadable(f"too large: {width}×{height} pixels are more than memory is taken for")
    with one_at_a_time(width * height > LARGE_PIXELS):
        try:
            image.load()
            small = _squeezed(image, canvas)
            turn = _TURNS.get(_orientation(image))
            if turn:
                small = small.transpose(pillow().Transpose[turn])
            return np.asarray(small)
        except Unreadable:
            raise
        except Exception as error:  # every plug-in of Pillow has errors of its own
            raise Unreadable(_reason(error)) from None


def _held_bytes(image: Any) -> int:
    """Bytes of a pixel as Pillow holds it."""
    if image.mode.startswith("I;16"):
        return 2
    return 1 if image.mode in ("1", "L", "P") else 4


def size_of(content: bytes) -> tuple[int, int]:
    """(height, width) by the header alone.

    Raises
    ------
    Unreadable
    """
    try:
        width, height = _opened(content).size
    except Unreadable as error:
        if _OF_NOTES not in str(error):
            raise
        width, height = _opened(without_notes(content)).size
    return height, width


def _opened(content: bytes) -> Any:
    """The image with only its header read."""
    library = pillow()
    if not content:
        raise Unreadable("the file is empty")
    try:
        image = library.open(io.BytesIO(content), formats=formats())
    except library.UnidentifiedImageError:
        raise Unreadable(_instead(content)) from None
    except library.DecompressionBombError:
        raise Unreadable(_too_large("its header announces")) from None
    except Exception as error:
        raise Unreadable(_reason(error)) from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Unreadable(_too_large(f"{width}×{height} pixels are"))
    return image


def _squeezed(image: Any, canvas: int) -> Any:
    """The image as RGB of the canvas' size."""
    rgb = to_rgb(image)
    width, height = image.size
    if width == height == canvas:
        return rgb(image)
    large = width * height > LARGE_PIXELS
    small = _in_strips(image, rgb, canvas) if large else rgb(image)
    return small.resize((canvas, canvas), resample((width, height), canvas), reducing_gap=3.0)


def _in_strips(image: Any, rgb: Any, canvas: int) -> Any:
    """A large image averaged down by whole factors, without a second copy of all of it."""
    width, height = image.size
    across, down = max(1, width // (3 * canvas)), max(1, height // (3 * canvas))
    rows = down * max(1, 2**22 // (width * down))
    small = pillow().new("RGB", (-(-width // across), -(-height // down)))
    for top in range(0, height, rows):
        strip = rgb(image.crop((0, top, width, min(top + rows, height))))
        small.paste(strip.reduce((across, down)), (0, top // down))
    return small


def _orientation(image: Any) -> int:
    """The EXIF orientation, 1 (upright) where there is none that can be read."""
    # Making an EXIF object takes as long as decoding a thumbnail: look only if there is one.
    if not any(key.lower().endswith(("exif", "xmp")) for key in map(str, image.info)):
        return 1
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # an image is not worth less for its broken notes
        return 1


def _too_large(found: str) -> str:
    return f"too large: {found} more than {MOST_PIXELS // 10**6} megapixels"


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        return "too large for the memory there is"
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return "cut short: the file ends before the image does"
    if "MAX_TEXT_CHUNK" in text or "text chunks" in text:
        return f"a {_OF_NOTES} is too large"
    return f"damaged: {text}"


def _instead(content: bytes) -> str:
    """What bytes are that no image begins with."""
    head = content[:1024]
    if not head.strip(b"\0"):
        return "not an image: nothing but zero bytes"
    if head.lstrip()[:9].lower() in (b"<!doctype", b"<html") or b"<html" in head[:200].lower():
        return "not an image: the content is a web page"
    if content[:4] in (b"%PDF", b"8BPS"):
        return named(content)
    # A character may be cut in two at the end of the sample.
    text = head.decode("utf-8", "ignore")
    whole = len(text.encode()) >= len(head) - 3
    if whole and all(c.isprintable() or c in "\t\r\n\f\ufeff" for c in text):
        return "not an image: the content is text"
    return named(content) or "not an image, or damaged at its very beginning"
