"""Pillow, set up once: which formats are read, how much is too much, how to resample."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import ModuleType

MOST_PIXELS = 200_000_000
MOST_DECODED = 640_000_000
"""Bytes of pixels that are held of one image."""
LARGE_PIXELS = 25_000_000
MOST_BYTES = 2**29
LARGE_BYTES = 2**26

NOT_READ = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
"""Formats Pillow knows by name but can't decode by itself; EPS would start Ghostscript."""

_CAMERAS = ("dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "raf")
FOREIGN = frozenset(
    f".{name}" for name in ("heic", "heif", "jxl", "svg", "avif", "webp", "jp2", *_CAMERAS)
)
"""Pictures that some installations of Pillow can't read: worth a word, unlike a text file."""

_large = threading.RLock()


class Unreadable(Exception):
    """An example that can't be read; the message is the reason, for a person to read."""


@lru_cache(maxsize=1)
def pillow() -> ModuleType:
    """``PIL.Image`` with all its formats loaded."""
    from PIL import Image

    Image.init()
    # Pillow warns of images half the size that is refused here, in the middle of a
    # progress bar. Its limit is raised, never lowered, and `checked_size` refuses by header.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MOST_PIXELS)
    return Image


@lru_cache(maxsize=1)
def formats() -> list[str]:
    """Names of the formats that are read, the frequent ones first: each is tried in turn."""
    first = ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"]
    known = [name for name in pillow().OPEN if name not in NOT_READ]
    return [f for f in first if f in known] + [f for f in known if f not in first]


@lru_cache(maxsize=1)
def extensions() -> frozenset[str]:
    """Extensions of images that can be read, in lower case, with their dot."""
    read = set(formats())
    return frozenset(e for e, name in pillow().registered_extensions().items() if name in read)


def one_at_a_time(large: bool) -> AbstractContextManager[object]:
    """A turn to hold something large: only one thread has it, so peaks don't add up."""
    return _large if large else nullcontext()


def resample(size: tuple[int, int], canvas: int) -> int:
    """Pillow's filter from (width, height) to the canvas.

    Shrinking, Hamming: as quick as the triangle, sharper, and free of the ringing (and
    clipping) that wider kernels bring. Growing, bilinear: nothing is invented.
    """
    kinds = pillow().Resampling
    return int(kinds.HAMMING if min(size) >= canvas else kinds.BILINEAR)
