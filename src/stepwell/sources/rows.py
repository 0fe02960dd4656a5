"""Sources whose examples are the rows of one array: scaled to bytes, resized, digested."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Skipped, StepwellError, UsageError
from stepwell.kit.hashing import digest_rows
from stepwell.sources.base import ImageSource
from stepwell.sources.canvas import checked, choose, fit
from stepwell.sources.layout import channels_first, expect_images
from stepwell.sources.pool import ordered
from stepwell.sources.tones import Scale, scale_of, to_bytes

BLOCK_BYTES = 2**22
MOST_PACKED = 1100
"""How many bytes deflate makes of one at most, about."""
MOST_ROWS = 1_000_000_000

_KNOWN_SCALES: dict[str, Scale] = {"u1": (0, 255), "u2": (0, 65535), "i1": (-128, 127)}


class Rows(NamedTuple):
    """An array that is read from front to back, some rows at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[int], Iterator[NDArray[Any]]]


def check_claimed(
    shape: tuple[int, ...], dtype: np.dtype[Any], there: int, packed: bool, name: str
) -> None:
    """Raise where a header claims more than a file of so many bytes can hold.

    Raises
    ------
    StepwellError
    """
    claimed = math.prod(shape) * dtype.itemsize
    most = there * MOST_PACKED if packed else there
    if claimed > most or shape[0] > MOST_ROWS or min(shape) < 0:
        row = max(math.prod(shape[1:]) * dtype.itemsize, 1)
        why = f"its header says shape {shape}, the file has {there:,} bytes"
        raise _cut_short(name, shape[0], max(most, 0) // row, why)


def held(array: NDArray[Any]) -> Rows:
    """Rows of an array in memory, or mapped into it."""

    def blocks(size: int) -> Iterator[NDArray[Any]]:
        for start in range(0, len(array), size):
            yield array[start : start + size]

    return Rows(array.shape, array.dtype, blocks)


def streamed(
    opened: Callable[[], IO[bytes]], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> Rows:
    """Rows of a file that can only be read forward; ``opened()`` stands at the first."""
    row_bytes = math.prod(shape[1:]) * dtype.itemsize

    def blocks(size: int) -> Iterator[NDArray[Any]]:
        with opened() as file:
            for start in range(0, shape[0], size):
                n = min(size, shape[0] - start)
                try:
                    raw = file.read(n * row_bytes)
                except Exception as error:  # zip, gzip and zlib each have their own
                    raise _cut_short(name, shape[0], start, str(error)) from None
                if len(raw) < n * row_bytes:
                    found = start + len(raw) // row_bytes
                    raise _cut_short(name, shape[0], found, "the file ends")
                yield np.frombuffer(raw, dtype).reshape(n, *shape[1:])

    return Rows(shape, dtype, blocks)


class RowSource(ImageSource):
    """A source of the rows of one array; a kind adds only how the array is found.

    Numbers become bytes by one rule for the whole array: uint8 as it is; bool, int8 and
    uint16 from their full range; anything else as it is within [0, 255], from [0, 1] if
    within that, else from its lowest to its highest number. Rows with numbers that are
    not finite are set aside.
    """

    def __init__(
        self,
        rows: Rows,
        name: str,
        *,
        prefix: str,
        path: Path | None = None,
        canvas: int | None = None,
        channels: str | None = None,
        scale: Sequence[float] | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        super().__init__(path, name, strict, workers)
        expect_images(rows.shape, rows.dtype, prefix)
        self._rows, self._prefix = rows, prefix
        self._first = channels_first(rows.shape, channels)
        height, width = rows.shape[2:4] if self._first else rows.shape[1:3]
        self.canvas = checked(canvas) or choose([(height, width)])
        self.scale = _checked_scale(scale) or self._own_scale()
        self.options["canvas"] = self.canvas
        if rows.dtype != np.uint8:
            self.options["scale"] = [float(end) for end in self.scale]
        if channels:
            self.options["channels"] = channels

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row."""
        for row in range(self._rows.shape[0]):
            id = self._id(row)
            yield id, id

    def _id(self, row: int) -> str:
        return f"{self._prefix}#row={row}"

    def _own_scale(self) -> Scale:
        """The scale that the type of the numbers gives, or else all of the numbers."""
        dtype = self._rows.dtype
        if dtype.kind == "b":
            return 0, 1
        if dtype.str[1:] in _KNOWN_SCALES:
            return _KNOWN_SCALES[dtype.str[1:]]
        low, high = np.inf, -np.inf
        for block in self._rows.blocks(self._block()):
            finite = block[np.isfinite(block)] if dtype.kind == "f" else block
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return scale_of(low, high) if low <= high else (0.0, 1.0)

    def _block(self) -> int:
        row_bytes = math.prod(self._rows.shape[1:]) * self._rows.dtype.itemsize
        return max(1, min(1024, BLOCK_BYTES // max(row_bytes, 1)))

    def _pieces(self, size: int, ids: frozenset[str] | None) -> Iterator[Batch]:
        ahead = self._workers + 1
        for piece, problems in ordered(self._read, self._tasks(ids), self._workers, ahead):
            self._set_aside(problems)
            if len(piece):
                yield piece

    def _tasks(self, ids: frozenset[str] | None) -> Iterator[tuple[NDArray[np.intp], NDArray]]:
        """Row numbers and rows, block by block, as far as there are any of ``ids``."""
        size, start = self._block(), 0
        wanted = None if ids is None else self._numbers(ids)
        last = self._rows.shape[0] - 1 if wanted is None else int(wanted.max(initial=-1))
        if last < 0:
            return
        for block in self._rows.blocks(size):
            numbers = np.arange(start, start + len(block))
            keep = slice(None) if wanted is None else np.isin(numbers, wanted)
            if len(numbers[keep]):
                yield numbers[keep], block[keep]
            start += len(block)
            if start > last:
                return

    def _numbers(self, ids: frozenset[str]) -> NDArray[np.intp]:
        """Row numbers of ids, of those that are ids of this source."""
        numbers = (id.removeprefix(f"{self._prefix}#row=") for id in ids)
        rows = (int(n) for n in numbers if n.isascii() and n.isdigit())
        n = self._rows.shape[0]
        return np.array([row for row in rows if row < n and self._id(row) in ids], np.intp)

    def _read(
        self, task: tuple[NDArray[np.intp], NDArray], stop: threading.Event
    ) -> tuple[Batch, list[Skipped]]:
        """One block as a batch, and what of it can't be used."""
        numbers, block = task
        problems = []
        if block.dtype.kind == "f":
            finite = np.isfinite(block).reshape(len(block), -1).all(1)
            reason = "it holds numbers that are not finite"
            problems = [Skipped(self._id(row), reason) for row in numbers[~finite]]
            numbers, block = numbers[finite], block[finite]
        kind = f"{block.dtype.str}{block.shape[1:]}".encode()
        digest = digest_rows(kind + row.tobytes() for row in block)
        images = to_bytes(block, self.scale)
        if images.ndim == 3:
            images = images[..., None]
        elif self._first:
            images = images.transpose(0, 2, 3, 1)
        ids = np.array([self._id(row) for row in numbers], np.str_)
        return Batch(ids, {"image": fit(images, self.canvas)}, ids, digest), problems


def _checked_scale(scale: Sequence[float] | None) -> Scale | None:
    if scale is None:
        return None
    try:
        low, high = map(float, scale)
    except (TypeError, ValueError):
        low = high = np.nan
    if not low < high:
        raise UsageError(f"Expected scale as two numbers, low and high, found {scale!r}.")
    return low, high


def _cut_short(name: str, expected: int, found: int, why: str) -> StepwellError:
    return StepwellError(
        f"Expected {expected} images in {name}, found about {found} ({why}): "
        f"the file is incomplete or damaged; download or write it again."
    )
