"""What comes next, in closed form: interpolated modified Kneser-Ney over bytes.

S. F. Chen & J. Goodman, Computer Speech & Language 13 (1999), section 3: the best of those they
compared. Only counts of the longest runs are kept, whole: they add up, and all else (counts of
continuations, discounts) follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
ORDER = 7
"""Bytes of the longest runs; 8 fill a 64-bit number. Of held-out plays 7 cost least, of held-out
captions 8."""
END = 0
"""Byte that stands before and after each text; none has it."""
LEAST = 0.1
"""Taken off each count at least."""
_BYTE = np.uint64(8)


class NgramCounts:
    """How often each run of bytes came; ``+`` and ``-`` are exact.

    Parameters
    ----------
    order : int
        Bytes of a run, 2 to 8.
    """

    name: ClassVar[str] = "ngram"

    def __init__(self, order: int = ORDER) -> None:
        if not 2 <= order <= 8:
            raise ValueError(f"expected an order of 2 to 8, found {order}")
        self.order = order
        self.texts, self.bytes = 0, 0
        self._keys: U64 = np.empty(0, np.uint64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._waiting: list[U64] = []

    def add(self, texts: Iterable[str]) -> None:
        """Count the runs of texts."""
        waiting = sum(map(len, self._waiting))
        for text in texts:
            row = encoded(text, self.order)
            self.texts, self.bytes = self.texts + 1, self.bytes + len(row) - self.order
            self._waiting.append(runs(row, self.order))
            waiting += len(self._waiting[-1])
            # Merging takes as long as all that is there: seldom, and little more is held meanwhile.
            if waiting > max(2**20, len(self._keys)):
                self._merge()
                waiting = 0

    def _merge(self) -> None:
        if self._waiting:
            keys, counts = np.unique(np.concatenate(self._waiting), return_counts=True)
            self._waiting = []
            self._keys, self._counts = _summed(
                (self._keys, keys), (self._counts, counts.astype(np.int64))
            )

    @property
    def table(self) -> tuple[U64, NDArray[np.int64]]:
        """Runs, sorted, and how often each came."""
        self._merge()
        return self._keys, self._counts

    def __add__(self, other: Self) -> Self:
        return self._combined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._combined(other, -1)

    def _combined(self, other: Self, sign: int) -> Self:
        if other.order != self.order:
            raise ValueError(f"expected counts of order {self.order}, found {other.order}")
        found = type(self)(self.order)
        found.texts, found.bytes = self.texts + sign * other.texts, self.bytes + sign * other.bytes
        (mine, count), (theirs, more) = self.table, other.table
        found._keys, found._counts = _summed((mine, theirs), (count, sign * more))
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays."""
        keys, counts = self.table
        settings = {"order": self.order, "texts": self.texts, "bytes": self.bytes}
        return settings, {"keys": keys.view(np.int64), "counts": counts}

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        found = cls(int(settings["order"]))
        found.texts, found.bytes = int(settings["texts"]), int(settings["bytes"])
        found._keys = np.array(arrays["keys"]).view(np.uint64)
        found._counts = np.array(arrays["counts"])
        return found


class _Order(NamedTuple):
    """Runs of one length: by run, and by the context before their last byte."""

    keys: U64
    given: NDArray[np.float64]
    contexts: U64
    start: NDArray[np.intp]
    left: NDArray[np.float64]


class NgramModel:
    """Probabilities of the next byte, from counts.

    For a run of context h and byte w, p(w | h) = max(c(hw) - D, 0) / c(h) + γ(h) p(w | h'), where
    h' is h without its first byte, and c counts of how often a run came (the longest) or how many
    different bytes stood before it (shorter ones).
    """

    def __init__(self, counts: NgramCounts) -> None:
        keys, count = counts.table
        self.order, self.end = counts.order, END
        self._orders: list[_Order] = []
        for length in range(self.order, 0, -1):
            self._orders.append(_solved(keys, count))
            if length > 1:
                keys, count = np.unique(keys & _mask(length - 1), return_counts=True)
        self._orders.reverse()

    def following(self, context: bytes) -> NDArray[np.float64]:
        """(256,) probabilities of the byte after ``context``."""
        found = np.full(256, 1 / 256)
        for length, table in enumerate(self._orders, 1):
            if length - 1 > len(context):
                break
            before = np.uint64(int.from_bytes(context[len(context) - length + 1 :], "big"))
            row = int(np.searchsorted(table.contexts, before))
            if row == len(table.contexts) or table.contexts[row] != before:
                break
            some = slice(table.start[row], table.start[row + 1])
            found *= table.left[row]
            found[(table.keys[some] & np.uint64(255)).astype(np.intp)] += table.given[some]
        return found

    def nats(self, texts: Iterable[str]) -> float:
        """What texts cost in all, ends included: the sum of -log p of each byte."""
        return float(sum(self.surprises(text).sum() for text in texts))

    def surprises(self, text: str) -> NDArray[np.float64]:
        """(bytes + 1,) nats of each byte of a text, and of its end."""
        row = encoded(text, self.order)
        p = np.full(len(row) - self.order + 1, 1 / 256)
        for length, table in enumerate(self._orders, 1):
            p = _interpolated(table, runs(row, length)[-len(p) :], p)
        return np.asarray(-np.log(p))


def encoded(text: str, order: int) -> bytes:
    """UTF-8 after as many :data:`END` as the first byte has context, and before one."""
    raw = text.encode("utf-8", "replace").replace(b"\0", b"")
    return bytes([END]) * (order - 1) + raw + bytes([END])


def runs(row: bytes, length: int) -> U64:
    """All runs of ``length`` bytes of a row that has as many, as numbers."""
    data = np.frombuffer(row, np.uint8)
    count = len(data) - length + 1
    key = np.zeros(count, np.uint64)
    for place in range(length):
        key = key << _BYTE | data[place : place + count].astype(np.uint64)
    return key


def _solved(keys: U64, count: NDArray) -> _Order:
    """Discounted shares of runs, and what is left of each context for shorter runs."""
    contexts, start = np.unique(keys >> _BYTE, return_index=True)
    many = np.minimum(count, 3)
    discount = _discounts(count)[many]
    starts = np.append(start, len(keys))
    if not len(keys):
        return _Order(keys, np.empty(0), contexts, starts, np.empty(0))
    total = np.add.reduceat(count, start).astype(np.float64)
    left = np.add.reduceat(discount, start) / total
    sizes = np.diff(starts)
    return _Order(keys, (count - discount) / np.repeat(total, sizes), contexts, starts, left)


def _discounts(count: NDArray) -> NDArray[np.float64]:
    """(4,) of runs that came 0, 1, 2, and 3 or more times (equation 26)."""
    n1, n2, n3, n4 = (int((count == times).sum()) for times in (1, 2, 3, 4))
    if not n1 or not n2:
        return np.array([0.0, 0.5, 0.5, 0.5])
    share = n1 / (n1 + 2 * n2)
    found = [0.0, 1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2]
    found.append(3 - 4 * share * n4 / n3 if n3 else found[2])
    # Where runs come in threes, say, the estimate is 0, and nothing would be left for others.
    return np.clip(found, [0, LEAST, LEAST, LEAST], [0, 1, 2, 3])


def _interpolated(table: _Order, keys: U64, lower: NDArray) -> NDArray[np.float64]:
    if not len(table.keys):
        return lower
    row, known = _found(table.contexts, keys >> _BYTE)
    place, seen = _found(table.keys, keys)
    found = table.left[row] * lower + np.where(seen, table.given[place], 0)
    return np.where(known, found, lower)


def _found(table: U64, asked: U64) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    place = np.minimum(np.searchsorted(table, asked), len(table) - 1)
    return place, table[place] == asked


def _summed(keys: tuple[U64, U64], counts: tuple[NDArray, NDArray]) -> tuple[U64, NDArray]:
    """Two tables as one; runs that are left 0 times are gone."""
    merged, place = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.zeros(len(merged), np.int64)
    np.add.at(total, place, np.concatenate(counts))
    return merged[total != 0], total[total != 0]


def _mask(length: int) -> np.uint64:
    return np.uint64(2 ** (8 * length) - 1)
