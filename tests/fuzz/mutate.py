"""Damage, the same for the same seed: bits, numbers, pieces, as accidents and enemies leave it."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

LENGTHS = (0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1)
LENGTHS += (2**33, 2**40, 2**62, 2**63 - 1, -(2**63))
"""Whole numbers that lengths, offsets and counts go wrong with."""
SPELLED = (b"0", b"-1", b"1", b"999999999999", b"4294967296", b"1e309", b"nan", b"9" * 400)
"""The same as headers in words have them."""
MARKS = (b'"', b"'", b",", b"\t", b";", b"\0", b"\r", b"\n", b"\r\n", b"\xff", b"\xc3", b"\\")
MARKS += (b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"[" * 50, b"{" * 50)
MARKS += (b"\\ud800", b"null", b"\x1f\x8b", b"%s%n", b"../" * 5, b"\x1b[31m")
"""What stands out in texts."""


def mutated(content: bytes, seed: int) -> bytes:
    """``content`` with one to eight changes; some leave it as it is."""
    draw = random.Random(seed)
    raw = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5, 8))):
        draw.choice(CHANGES)(raw, draw)
    return bytes(raw)


def _at(raw: bytearray, draw: random.Random) -> int:
    """A place, in every second draw near one of the ends, where headers are."""
    if not raw:
        return 0
    near = min(len(raw), draw.choice((16, 64, 512)))
    return draw.choice(
        (draw.randrange(len(raw)), draw.randrange(near), len(raw) - 1 - draw.randrange(near))
    )


def _bit(raw: bytearray, draw: random.Random) -> None:
    if raw:
        raw[_at(raw, draw)] ^= 1 << draw.randrange(8)


def _byte(raw: bytearray, draw: random.Random) -> None:
    if raw:
        raw[_at(raw, draw)] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))


def _number(raw: bytearray, draw: random.Random) -> None:
    """A length in 2, 4 or 8 bytes, either end first."""
    width = draw.choice((2, 4, 4, 8, 8))
    value = draw.choice(LENGTHS) % 2 ** (8 * width)
    packed = value.to_bytes(width, draw.choice(("little", "big")))
    at = _at(raw, draw)
    at -= draw.choice((0, at % width))  # most formats keep numbers in line
    raw[at : at + width] = packed


def _nudged(raw: bytearray, draw: random.Random) -> None:
    """A number a little larger or smaller than it was."""
    at = _at(raw, draw) & ~3
    if at + 4 <= len(raw):
        form = draw.choice(("<I", ">I"))
        (value,) = struct.unpack_from(form, raw, at)
        struct.pack_into(form, raw, at, (value + draw.choice((-8, -1, 1, 8, 64, 4096))) % 2**32)


def _cut(raw: bytearray, draw: random.Random) -> None:
    del raw[_at(raw, draw) :]


def _left_out(raw: bytearray, draw: random.Random) -> None:
    at = _at(raw, draw)
    del raw[at : at + draw.choice((1, 2, 4, 16, 100, 1000))]


def _again(raw: bytearray, draw: random.Random) -> None:
    at, to = _at(raw, draw), _at(raw, draw)
    raw[to:to] = raw[at : at + draw.choice((1, 4, 16, 100, 1000))]


def _over(raw: bytearray, draw: random.Random) -> None:
    """A piece of it somewhere else."""
    at, to = _at(raw, draw), _at(raw, draw)
    piece = raw[at : at + draw.choice((4, 16, 64, 256))]
    raw[to : to + len(piece)] = piece


def _blank(raw: bytearray, draw: random.Random) -> None:
    at = _at(raw, draw)
    length = min(draw.choice((4, 16, 64, 512)), len(raw) - at)
    raw[at : at + length] = bytes([draw.choice((0, 255))]) * length


def _noise(raw: bytearray, draw: random.Random) -> None:
    at = _at(raw, draw)
    length = draw.choice((1, 8, 32))
    raw[at : at + length] = draw.randbytes(length)


def _mark(raw: bytearray, draw: random.Random) -> None:
    at = _at(raw, draw)
    raw[at : at + draw.choice((0, 0, 1, 4))] = draw.choice(MARKS)


def _spelled(raw: bytearray, draw: random.Random) -> None:
    """A number in words."""
    found = list(re.finditer(rb"\d+", raw[:4096]))
    if found:
        one = draw.choice(found)
        raw[one.start() : one.end()] = draw.choice(SPELLED)


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_bit, _bit, _byte, _byte, _number, _number, _number, _nudged, _nudged, _cut, _left_out),
    *(_again, _over, _blank, _noise, _mark, _spelled),
)
