"""What bytes are, by those they begin with."""

from __future__ import annotations

import re

from stepwell.sources.textfiles import format_of
from stepwell.sources.walk import Found

HEAD = 32
"""Bytes that tell."""
_STARTS = (
    b"\xff\xd8\xff",  # JPEG, MPO
    b"\x89PNG",
    b"GIF8",
    b"II*\0",  # TIFF
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"BM",
    b"8BPS",  # Photoshop
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    b"qoif",
    b"\0\0\x01\0",  # icon
    b"icns",
    b"DDS ",
    b"\x0a\x05\x01\x08",  # PCX
    b"SIMPLE  =",  # FITS
)
_NETPBM = tuple(f"P{digit}".encode() for digit in "1234567fF")
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc")
"""Of files of the ISO base media format that hold a picture."""


def is_image(head: bytes) -> bool:
    """Whether bytes begin as those of an image file do."""
    if head.startswith(_STARTS):
        return not head.startswith(b"BM") or (len(head) < 14 or head[6:10] == b"\0\0\0\0")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] in _BRANDS
    return head[:2] in _NETPBM and head[2:3] in (b"\n", b" ", b"\r", b"\t")


_OTHERS = frozenset(
    """
    .json .xml .html .htm .yaml .yml .toml .ini .cfg .py .ipynb .js .css .log .pdf .doc
    .docx .odt .xls .xlsx .mat .pkl .pth .pt .onnx .safetensors .h5 .hdf5 .db .sqlite
    .mp4 .avi .mov .mkv .mp3 .wav .zip .gz .tar .7z .rar .npy .npz .exe .dll .so .bin
    .eps .ps .svg
    """.split()  # noqa: SIM905 - a list would take a line each
)
"""Extensions of files that are no images, whatever they begin with."""


def may_be_image(found: Found) -> bool:
    """Whether a file that is not called like an image may be one all the same, as scrapers leave
    them: without extension, or with one that nobody knows."""
    return not (found.problem or format_of(found.path) or found.extension in _OTHERS)


def head_of(path: str) -> bytes:
    """The first bytes of a file; none where it can't be opened."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(HEAD)
    except OSError:
        return b""


def passed_over(found: Found, kind: str) -> str:
    """Why a file among examples is none, by its extension."""
    extension = found.extension
    if not re.fullmatch(r"\.[a-z0-9_-]{1,12}", extension):
        extension = "other extensions" if extension else "no extension"
    return f"{extension}, no {kind}"
