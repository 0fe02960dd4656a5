"""Whole numbers on disk in as few bytes as they need: sums of millions are small beside 64 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 4096
"""Numbers that are worth packing."""
MOST_TIMES, SPARE = 64, 2**20
"""How much larger unpacked numbers may be, and bytes that always are allowed: real sums take a
quarter of their 8 bytes, and a file of a few bytes must not fill the memory."""
_LEVEL = 1


def packed_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.uint8]]:
    """Those of some arrays that are worth packing, and are surely read again: of 64-bit whole
    numbers, and not all but the same."""
    many = {n: a for n, a in arrays.items() if a.dtype == np.int64 and a.size >= FEWEST}
    found = {name: pack(array) for name, array in many.items()}
    return {name: each for name, each in found.items() if _fits(many[name].nbytes, each)}


def _fits(size: int, packed: NDArray[np.uint8]) -> bool:
    return size <= MOST_TIMES * len(packed) + SPARE


def pack(array: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bytes of the numbers: sign last, bytes of like weight together, then Zstandard."""
    import pyarrow as pa

    flat = np.ascontiguousarray(array).ravel()
    folded = (flat << 1) ^ (flat >> 63)  # small numbers of either sign are small
    planes = np.ascontiguousarray(folded.view(np.uint8).reshape(-1, 8).T)
    found = pa.Codec("zstd", _LEVEL).compress(planes.tobytes(), asbytes=True)
    return np.frombuffer(found, np.uint8)


def unpacked(
    arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, Any]
) -> dict[str, NDArray[np.int64]]:
    """Those of a part's arrays that are packed; all of them together may be no larger than packed
    numbers can be.

    Raises
    ------
    ValueError
    """
    sizes = [_size_of(shape) for shape in shapes.values()]
    there = sum(arrays[name].nbytes for name in shapes)
    if sum(sizes) > MOST_TIMES * there + SPARE:
        raise ValueError(f"{there:,} bytes for {sum(sizes):,}")
    return {name: unpack(arrays[name], shape) for name, shape in shapes.items()}


def _size_of(shape: Any) -> int:
    """Bytes of numbers of a shape."""
    if not isinstance(shape, list | tuple):
        raise ValueError(f"a shape of {str(shape)[:80]!r}")
    size = 8
    for length in shape:
        if type(length) is not int or length < 0:
            raise ValueError(f"a shape of {str(length)[:80]!r}")
        size *= length
    return size


def unpack(packed: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.int64]:
    """The inverse of :func:`pack`.

    Raises
    ------
    ValueError
        For bytes that are none of so many numbers, or of far more than they can be.
    """
    import pyarrow as pa

    size = _size_of(shape)
    if packed.dtype != np.uint8 or packed.ndim != 1 or not _fits(size, packed):
        raise ValueError(f"{packed.nbytes:,} bytes for {size:,}")
    try:
        plain = pa.Codec("zstd").decompress(packed.tobytes(), decompressed_size=size, asbytes=True)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"bytes that can't be unpacked: {error}") from None
    if len(plain) != size:
        raise ValueError(f"{len(plain):,} bytes, not {size:,}")
    planes = np.frombuffer(plain, np.uint8).reshape(8, -1)
    folded = np.ascontiguousarray(planes.T).view(np.int64).ravel()
    # A shift that keeps no sign, then the sign that was last.
    found = (folded.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(folded & 1)
    return found.reshape([int(length) for length in shape])
