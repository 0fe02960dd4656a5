"""How often each of many numbers came, in memory that stays the same however many these are.

Sorted pieces wait in files that have no name (on Windows one that goes with them), so that nothing
is left of them whatever happens; :data:`FAN` of them are merged into one, as in a log-structured
merge tree (O'Neil et al., Acta Informatica 33, 1996).
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.kit.hashing import U64

I64 = NDArray[np.int64]
HELD = 2**21
"""Numbers that wait in memory."""
FAN = 16
"""Pieces that are merged into one."""
BLOCK = 2**16
"""Numbers of a piece that are read at a time."""
_ROW = np.dtype([("key", np.uint64), ("count", np.int64)])


class Tally:
    """Numbers and how often each came; ``joined`` is exact and costs nothing until asked for.

    Parameters
    ----------
    folder : path, optional
        On whose disk pieces wait; default: where the system keeps passing files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._waiting: list[U64] = []
        self._held = 0
        self._levels: list[list[_Piece]] = [[]]

    @classmethod
    def of(cls, keys: U64, counts: I64) -> Self:
        """One of sorted numbers, each there once."""
        found = cls()
        found._levels[0].append(_Piece(_rows(keys, counts)))
        return found

    def add(self, keys: U64) -> None:
        """Count numbers."""
        self._waiting.append(keys)
        self._held += len(keys)
        if self._held >= HELD:
            self._put([self._counted()], 0)
            self._waiting, self._held = [], 0

    def _counted(self) -> NDArray:
        """Those that wait, sorted."""
        keys = np.concatenate([*self._waiting, np.empty(0, np.uint64)])
        return _rows(*np.unique(keys, return_counts=True))

    def _put(self, blocks: Iterable[NDArray], level: int) -> None:
        """A new piece, and where there are enough of a level, one of the next."""
        self._levels[level:] = self._levels[level:] or [[]]
        pieces = self._levels[level]
        pieces.append(_Piece.written(blocks, self._folder))
        if len(pieces) >= FAN:
            self._put(_merged(pieces), level + 1)
            pieces.clear()

    def joined(self, other: Self, sign: int = 1) -> Self:
        """Both together, or the one without the other."""
        found = type(self)(self._folder)
        theirs = [_Piece(piece.rows, sign * piece.sign) for piece in other._pieces()]
        found._levels[0] = [*self._pieces(), *theirs]
        return found

    def _pieces(self) -> list[_Piece]:
        waiting = [_Piece(self._counted())] if self._waiting else []
        return [piece for level in self._levels for piece in level] + waiting

    def blocks(self) -> Iterator[tuple[U64, I64]]:
        """Numbers, sorted, and how often each came, a part at a time; none that is left 0 times."""
        for rows in _merged(self._pieces()):
            yield rows["key"], rows["count"]


class _File:
    """Rows in a file without a name."""

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with its owner)
        weakref.finalize(self, self._file.close)
        self._length = 0

    def append(self, rows: NDArray) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(rows.tobytes())
        self._length += len(rows)

    def __getitem__(self, some: slice) -> NDArray:
        self._file.seek(some.start * _ROW.itemsize)
        return np.frombuffer(self._file.read((some.stop - some.start) * _ROW.itemsize), _ROW)


class _Piece:
    """Sorted rows, in memory or in a file; ``sign`` -1: to be taken off."""

    def __init__(self, rows: NDArray | _File, sign: int = 1) -> None:
        self.rows: Any = rows
        self.sign = sign

    @classmethod
    def written(cls, blocks: Iterable[NDArray], folder: Path | None) -> _Piece:
        file = _File(folder)
        for rows in blocks:
            file.append(rows)
        return cls(file)

    def block(self, start: int) -> NDArray:
        rows = self.rows[start : start + BLOCK]
        return rows if self.sign > 0 else _rows(rows["key"], -rows["count"])


class _Reader:
    """A piece, from its smallest number on."""

    def __init__(self, piece: _Piece) -> None:
        self._piece, self._next = piece, 0
        self._turn()

    def _turn(self) -> None:
        self.rows = self._piece.block(self._next)
        self._next += len(self.rows)

    def upto(self, last: np.uint64) -> NDArray:
        """Rows with numbers to ``last`` that are at hand; no more are taken twice."""
        stop = int(np.searchsorted(self.rows["key"], last, "right"))
        taken, self.rows = self.rows[:stop], self.rows[stop:]
        if not len(self.rows):
            self._turn()
        return taken


def _merged(pieces: Sequence[_Piece]) -> Iterator[NDArray]:
    """Rows of all pieces, sorted, those of a number added up."""
    readers = [_Reader(piece) for piece in pieces]
    while readers := [reader for reader in readers if len(reader.rows)]:
        # Beyond it some piece may hold more than is at hand.
        last = min(reader.rows["key"][-1] for reader in readers)
        rows = _summed(np.concatenate([reader.upto(last) for reader in readers]))
        if len(rows):
            yield rows


def _summed(rows: NDArray) -> NDArray:
    rows = rows[np.argsort(rows["key"], kind="stable")]
    start = np.flatnonzero(np.diff(rows["key"], prepend=rows["key"][:1] + np.uint64(1)))
    counts = np.add.reduceat(rows["count"], start)
    return _rows(rows["key"][start][counts != 0], counts[counts != 0])


def _rows(keys: U64, counts: I64) -> NDArray:
    rows = np.empty(len(keys), _ROW)
    rows["key"], rows["count"] = keys, counts
    return rows
