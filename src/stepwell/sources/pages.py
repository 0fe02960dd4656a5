"""Pages of a Parquet file by their headers: how much memory reading them takes.

A page of a few kilobytes can unpack to gigabytes, and a dictionary holds a long value once that
a thousand rows repeat. Sizes stand in the header before each page, in Thrift's compact protocol
(Apache Parquet, parquet.thrift; Apache Thrift, thrift-compact-protocol.md).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.sources.checked import damaged

MOST_PAGE = 2**29
"""Bytes a page may unpack to."""
_DICTIONARY = 2
"""The type of a page that holds one."""
_PLAIN, _PREFIXED = 0, 7
"""Encodings of values: each written out; or what they share with the one before left out."""
_TOP = 16
"""Levels of structures in a header; real ones have three."""


class Shape(NamedTuple):
    """What the pages of a column are like.

    Attributes
    ----------
    dictionary : int
        Bytes of the largest dictionary.
    prefixed : int
        Bytes of the largest page whose values share beginnings.
    plain : bool
        Whether some values are written out though there is a dictionary.
    """

    dictionary: int = 0
    prefixed: int = 0
    plain: bool = False


def shape_of(file: Path, metadata: Any, column: str) -> Shape:
    """Of a column, with all that is nested in it.

    Raises
    ------
    StepwellError
        If a page would take more memory than any should, or its header can't be read.
    """
    dictionary, prefixed, plain = 0, 0, False
    with open(file, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for chunk in _chunks(metadata, column):
            for kind, unpacked, encoding in _pages(mapped, chunk, file):
                if kind == _DICTIONARY:
                    dictionary = max(dictionary, unpacked)
                else:
                    prefixed = max(prefixed, unpacked if encoding == _PREFIXED else 0)
                    plain |= encoding == _PLAIN
    return Shape(dictionary, prefixed, plain)


def _chunks(metadata: Any, column: str) -> Iterator[Any]:
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            chunk = row_group.column(number)
            if f"{chunk.path_in_schema}.".startswith(f"{column}."):
                yield chunk


def _pages(mapped: mmap.mmap, chunk: Any, file: Path) -> Iterator[tuple[int, int, int | None]]:
    """(type, unpacked bytes, encoding) of each page of a chunk."""
    starts = (chunk.dictionary_page_offset, chunk.data_page_offset)
    at = min(start for start in starts if start is not None and start >= 0)
    end = at + chunk.total_compressed_size
    if not 0 <= at <= end <= len(mapped):
        raise damaged(file, "its pages are said to be where the file is not")
    while at < end:
        try:
            header, at = _structure(mapped, at, _TOP)
            kind, unpacked, packed = header[1], header[2], header[3]
            about = header.get(5) or header.get(7) or header.get(8) or {}
            encoding = about.get(4 if 8 in header else 2)
        except (IndexError, KeyError, ValueError, AttributeError):
            raise damaged(file, "the header of a page can't be read") from None
        if packed < 0 or unpacked < 0:
            raise damaged(file, "a page is said to be of negative size")
        if unpacked > MOST_PAGE:
            raise damaged(file, f"a page unpacks to {unpacked / 1e6:,.0f} MB")
        yield kind, unpacked, encoding
        at += packed


def _structure(raw: mmap.mmap, at: int, levels: int) -> tuple[dict[int, Any], int]:
    """Whole numbers and structures among the fields of a structure, and where it ends."""
    if not levels:
        raise ValueError("nested too deep")
    fields: dict[int, Any] = {}
    number = 0
    while kind := raw[at] & 15:
        step = raw[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _signed(raw, at)
        if kind in (4, 5, 6):
            fields[number], at = _signed(raw, at)
        elif kind == 12:
            fields[number], at = _structure(raw, at, levels - 1)
        else:
            at = _past(raw, at, kind, levels - 1, field=True)
    return fields, at + 1


def _past(raw: mmap.mmap, at: int, kind: int, levels: int, field: bool = False) -> int:
    """Where a value ends that is of no interest."""
    if kind in (1, 2):
        return at if field else at + 1  # the type of a field is its truth
    if kind == 3:
        return at + 1
    if kind in (4, 5, 6):
        return _signed(raw, at)[1]
    if kind == 7:
        return at + 8
    if kind == 8:
        length, at = _unsigned(raw, at)
        return at + length
    if kind in (9, 10) and levels:
        length, inner = raw[at] >> 4, raw[at] & 15
        length, at = _unsigned(raw, at + 1) if length == 15 else (length, at + 1)
        for _ in range(length):
            at = _past(raw, at, inner, levels - 1)
        return at
    if kind == 12:
        return _structure(raw, at, levels)[1]
    raise ValueError("no such type")


def _unsigned(raw: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without end")


def _signed(raw: mmap.mmap, at: int) -> tuple[int, int]:
    value, at = _unsigned(raw, at)
    return (value >> 1) ^ -(value & 1), at
