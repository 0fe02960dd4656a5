"""How much memory decoding an image takes, and a gate that lets no more through than there is."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepwell.sources.pillow import LARGE_PIXELS, MOST_DECODED

SMALL = 2**24
"""Bytes that are taken without asking."""
_AT_WORK = {"WEBP": 8, "AVIF": 8, "JPEG2000": 16}
"""Bytes a pixel that decoders hold beside the image: libwebp two canvases, libavif planes and
their colours, OpenJPEG 32 bits for each band."""
_SIZE = re.compile(rb"IHDR(....)(....)", re.DOTALL)


class Gate:
    """Lets threads through while what they hold together is within a bound.

    What is larger than the bound by itself goes alone.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._free = threading.Condition()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Wait for ``size`` bytes, and give them back."""
        if size <= SMALL:
            yield
            return
        with self._free:
            self._free.wait_for(lambda: not self._held or self._held + size <= self._most)
            self._held += size
        try:
            yield
        finally:
            with self._free:
                self._held -= size
                self._free.notify_all()


GATE = Gate(MOST_DECODED)


def memory_of(image: Any, whole: tuple[int, int]) -> int:
    """Bytes that an image takes while it is decoded and made small.

    Parameters
    ----------
    image : PIL.Image.Image
        Of which only the header has been read.
    whole : (int, int)
        Its size before it was agreed to decode it smaller.
    """
    width, height = image.size
    pixels = width * height
    held = pixels * pixel_bytes(image.mode)
    if image.mode != "RGB" and pixels <= LARGE_PIXELS:
        held += 8 * pixels  # as RGB, and over white: larger ones are done in strips
    return held + _at_work(image, whole)


def pixel_bytes(mode: str) -> int:
    """Bytes of a pixel as Pillow holds it."""
    if mode.startswith("I;16"):
        return 2
    return 1 if mode in ("1", "L", "P") else 4


def inner_pixels(content: bytes) -> int:
    """Pixels of the largest PNG within a file of icons, whose own header names other sizes."""
    if not content.startswith((b"\0\0\1\0", b"\0\0\2\0", b"icns")):
        return 0
    sizes = ([int.from_bytes(n, "big") for n in found] for found in _SIZE.findall(content))
    return max((width * height for width, height in sizes), default=0)


def _at_work(image: Any, whole: tuple[int, int]) -> int:
    """What the decoder holds beside the image itself."""
    width, height = whole
    if image.format == "TIFF":
        return _strip(image)
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        # All coefficients, 16 bits each, of the whole image, however small it is asked for.
        across = max((layer[1] for layer in image.layer), default=1)
        down = max((layer[2] for layer in image.layer), default=1)
        share = sum(layer[1] * layer[2] for layer in image.layer) / (across * down)
        return int(2 * width * height * share)
    return width * height * _AT_WORK.get(image.format, 0)


def _strip(image: Any) -> int:
    """Bytes of a strip or tile of a TIFF, which is unpacked as a whole."""
    tags, (width, height) = image.tag_v2, image.size
    try:
        bits = sum(int(n) for n in tags.get(258, (8,)))
        rows = min(int(tags.get(323) or tags.get(278) or height), height)
        across = int(tags.get(322) or width)
    except (TypeError, ValueError):
        return 0
    return max(rows, 1) * max(across, 1) * bits // 8
