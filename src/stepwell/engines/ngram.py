"""What comes next, in closed form: interpolated modified Kneser-Ney over bytes.

S. F. Chen & J. Goodman, Computer Speech & Language 13 (1999), section 3: the best of those they
compared. Only counts of the longest runs are kept, whole: they add up, and all else (counts of
continuations, discounts) follows from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError
from stepwell.kit.hashing import U64
from stepwell.kit.rowfiles import read_rows
from stepwell.kit.tally import I64, Tally

ORDER = 7
"""Bytes of the longest runs; 8 fill a 64-bit number. Of held-out plays 7 cost least, of held-out
captions 8."""
END = 0
"""Byte that stands before and after each text; none has it."""
LEAST = 0.1
"""Taken off each count at least."""
AT_ONCE = 2**20
"""Bytes of texts that are worked on at a time, about."""
_BYTE = np.uint64(8)
_FACTS = ("order", "texts", "bytes")


class NgramCounts:
    """How often each run of bytes came; ``+`` and ``-`` are exact.

    Parameters
    ----------
    order : int
        Bytes of a run, 2 to 8.
    folder : path, optional
        On whose disk those wait that memory does not hold.
    """

    def __init__(self, order: int = ORDER, folder: Path | None = None) -> None:
        if not 2 <= order <= 8:
            raise ValueError(f"expected an order of 2 to 8, found {order}")
        self.order = order
        self.texts, self.bytes = 0, 0
        self._runs = Tally(folder)

    def add(self, texts: Iterable[str]) -> None:
        """Count the runs of texts."""
        for some in _joined(texts, self.order):
            self.texts += len(some.sizes)
            self.bytes += sum(some.sizes) - len(some.sizes)  # of their ends none
            self._runs.add(some.runs(self.order))

    @property
    def table(self) -> tuple[U64, I64]:
        """Runs, sorted, and how often each came."""
        none = np.empty(0, np.uint64), np.empty(0, np.int64)
        keys, counts = zip(none, *self._runs.blocks(), strict=True)
        return np.concatenate(keys), np.concatenate(counts)

    def __add__(self, other: Self) -> Self:
        return self._combined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._combined(other, -1)

    def _combined(self, other: Self, sign: int) -> Self:
        if other.order != self.order:
            raise ValueError(f"expected counts of order {self.order}, found {other.order}")
        found = type(self)(self.order)
        found.texts, found.bytes = self.texts + sign * other.texts, self.bytes + sign * other.bytes
        found._runs = self._runs.joined(other._runs, sign)
        return found

    def write(self, path: Path) -> None:
        """A Parquet file of runs, in the order of their bytes, and how often each came."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        facts = {name: str(getattr(self, name)) for name in _FACTS}
        schema = pa.schema([("run", pa.uint64()), ("count", pa.int64())], facts)
        # Sorted numbers are near each other: a fifth of the room.
        coded = {"run": "DELTA_BINARY_PACKED"}
        options: Any = {"use_dictionary": ["count"], "column_encoding": coded}
        with parquet.ParquetWriter(path, schema, compression="zstd", **options) as out:
            for rows in self._runs.blocks():
                out.write_table(pa.table(list(rows), schema=schema))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of :meth:`write`.

        Raises
        ------
        StepwellError
            If the file is damaged.
        """
        try:
            table = read_rows(path, {"run": "uint64", "count": "int64"})
            order, texts, count = (int(table.schema.metadata[name.encode()]) for name in _FACTS)
            rows = [table[name].to_numpy() for name in ("run", "count")]
            if np.any(rows[0][1:] <= rows[0][:-1]) or np.any(rows[1] < 1) or not 2 <= order <= 8:
                raise ValueError("runs in no order, or of no count")
        except Exception as error:
            raise StepwellError(
                f"Expected counts in {path}, found {type(error).__name__}: {error}. The run is "
                f"damaged: learn again, or bring back a copy."
            ) from error
        found = cls(order)
        found.texts, found.bytes, found._runs = texts, count, Tally.of(*rows)
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
        return float(sum(cost.sum() for cost in self.surprises(texts)))

    def surprises(self, texts: Iterable[str]) -> Iterator[NDArray[np.float64]]:
        """(bytes + 1,) nats of each byte of each text, and of its end."""
        for some in _joined(texts, self.order):
            p = np.full(sum(some.sizes), 1 / 256)
            for length, table in enumerate(self._orders, 1):
                p = _interpolated(table, some.runs(length), p)
            yield from np.split(-np.log(p), np.cumsum(some.sizes)[:-1])


def encoded(text: str, order: int) -> bytes:
    """UTF-8 after as many :data:`END` as the first byte has context, and before one."""
    raw = text.encode("utf-8", "replace").replace(b"\0", b"")
    return bytes([END]) * (order - 1) + raw + bytes([END])


class _Rows(NamedTuple):
    """Encoded texts, one after the other; how many bytes of each are told of, its end too, and
    which: not those before it."""

    data: NDArray[np.uint8]
    sizes: list[int]
    told: NDArray[np.bool_]

    def runs(self, length: int) -> U64:
        """Runs of ``length`` bytes as numbers, one for each byte that is told of: its last."""
        count = len(self.data) - length + 1
        key = np.zeros(count, np.uint64)
        for place in range(length):
            key = key << _BYTE | self.data[place : place + count].astype(np.uint64)
        return key[self.told[length - 1 :]]


def _joined(texts: Iterable[str], order: int) -> Iterator[_Rows]:
    """Texts, so many at a time that numpy is busy and memory small."""
    held: list[bytes] = []
    size = 0
    for text in texts:
        held.append(encoded(text, order))
        size += len(held[-1])
        if size >= AT_ONCE:
            yield _rows(held, order)
            held, size = [], 0
    if held:
        yield _rows(held, order)


def _rows(held: list[bytes], order: int) -> _Rows:
    sizes = [len(row) - order + 1 for row in held]
    parts = [part for size in sizes for part in (order - 1, size)]
    told = np.repeat(np.tile([False, True], len(sizes)), parts)
    return _Rows(np.frombuffer(b"".join(held), np.uint8), sizes, told)


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
    # Sorted, each is looked for near the one before.
    some, back = np.unique(asked, return_inverse=True)
    place = np.minimum(np.searchsorted(table, some), len(table) - 1)
    return place[back], (table[place] == some)[back]


def _mask(length: int) -> np.uint64:
    return np.uint64(2 ** (8 * length) - 1)
