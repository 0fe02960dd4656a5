"""A dictionary in closed form: which words of one language tell which of the other.

Words of a translation are regressed on all words of the text at once (ridge), so that "junger" goes
to "young" and not to the "man" that mostly stands beside it; what that is worth over counting
alone is measured in benchmarks/translation.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.kit.schema import Schema, Table, whole, words_in

MOST = 5000
"""Words of each language that are looked up, the most frequent ones."""
RIDGE = 1.0
"""In texts; 0.3 to 30 were as good."""


class PairCounts:
    """In how many pairs of texts words stand, and stand together; sums that add up exactly."""

    name: ClassVar[str] = "pairs"

    def __init__(self) -> None:
        self.texts = 0
        self.words: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._own: Any = _empty(0, 0)
        """(s, s): pairs in which two words of the source both stand; its diagonal, one."""
        self._across: Any = _empty(0, 0)
        """(s, t): the same of a word of the source and one of the target."""
        self._there = np.zeros(0, np.int64)
        """(t,): pairs in which a word of the target stands."""

    def add(self, sources: Sequence[Iterable[str]], targets: Sequence[Iterable[str]]) -> None:
        """Texts as words, and their translations."""
        one = type(self)()
        one.texts = len(sources)
        tables = [
            _standing(texts, known)
            for texts, known in zip((sources, targets), one.words, strict=True)
        ]
        one._own, one._across = tables[0].T @ tables[0], tables[0].T @ tables[1]
        one._there = np.asarray(tables[1].sum(0), np.int64).ravel()
        whole = self + one
        self.__dict__.update(whole.__dict__)

    def _joined(self, other: Self, sign: int) -> Self:
        found = type(self)()
        found.texts = self.texts + sign * other.texts
        for known, *sides in zip(found.words, self.words, other.words, strict=True):
            for word in (word for side in sides for word in side):
                known.setdefault(word, len(known))
        size, width = (len(known) for known in found.words)
        found._own, found._across = _empty(size, size), _empty(size, width)
        found._there = np.zeros(width, np.int64)
        for part, factor in ((self, 1), (other, sign)):
            rows, columns = (
                np.array([known[word] for word in own], np.int64)
                for known, own in zip(found.words, part.words, strict=True)
            )
            found._own += factor * _moved(part._own, rows, rows, found._own.shape)
            found._across += factor * _moved(part._across, rows, columns, found._across.shape)
            found._there[columns] += factor * part._there
        return found

    def __add__(self, other: Self) -> Self:
        return self._joined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._joined(other, -1)

    def solved(self) -> Dictionary:
        """What tells what."""
        from scipy.linalg import solve

        n = max(self.texts, 1)
        own = self._own.diagonal()
        rows, columns = _leading(own), _leading(self._there)
        share, other = own[rows] / n, self._there[columns] / n
        among = self._own[rows][:, rows].toarray() / n - np.outer(share, share)
        across = self._across[rows][:, columns].toarray() / n - np.outer(share, other)
        among[np.diag_indices(len(among))] += RIDGE / n
        words = (list(known) for known in self.words)
        source, target = (
            [side[i] for i in kept] for side, kept in zip(words, (rows, columns), strict=True)
        )
        weight = solve(among, across, assume_a="pos") if len(rows) else across
        return Dictionary(source, target, weight)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Counts, and words as UTF-8, one a line."""
        arrays: dict[str, Any] = {"there": self._there}
        for name, known in zip(("source", "target"), self.words, strict=True):
            text = "\n".join(known).encode("utf-8", "surrogatepass")
            arrays[name] = np.frombuffer(text, np.uint8)
        for name, table in (("own", self._own), ("across", self._across)):
            cells = table.tocoo()
            arrays |= {f"{name}_{key}": getattr(cells, key) for key in ("row", "col", "data")}
        return {"texts": self.texts}, arrays

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        text = Table("u", ("bytes",), size=1)
        arrays = {"there": Table("i", ("t",), 0), "source": text}
        arrays |= {"target": text._replace(shape=("others",))}
        for name in ("own", "across"):
            arrays |= {f"{name}_{key}": Table("i", (name,), 0) for key in ("row", "col", "data")}
        return Schema({"texts": whole(0, 2**60)}, arrays, also=_within)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        from scipy import sparse

        found = cls()
        found.texts, found._there = int(settings["texts"]), np.array(arrays["there"])
        for name, known in zip(("source", "target"), found.words, strict=True):
            known.update({word: i for i, word in enumerate(words_in(arrays[name]))})
        size, width = (len(known) for known in found.words)
        for name, shape in (("own", (size, size)), ("across", (size, width))):
            row, col, data = (np.array(arrays[f"{name}_{key}"]) for key in ("row", "col", "data"))
            setattr(found, f"_{name}", sparse.csr_matrix((data, (row, col)), shape))
        return found


def _within(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """As many counts as words, and cells within their tables."""
    source, target = (len(words_in(arrays[name])) for name in ("source", "target"))
    if len(arrays["there"]) != target:
        raise ValueError(f"counts of {len(arrays['there'])} of {target} words")
    sides = {"own_row": source, "own_col": source, "across_row": source, "across_col": target}
    for name, size in sides.items():
        if arrays[name].size and arrays[name].max() >= size:
            raise ValueError(f"array {name!r} names word {arrays[name].max()} of {size}")


class Dictionary:
    """Weights of words of one language for words of the other.

    Parameters
    ----------
    source, target : sequence of str
    weight : (s, t)
        How much more likely a word of the target stands there, for each word of the source.
    """

    def __init__(
        self, source: Sequence[str], target: Sequence[str], weight: NDArray[np.float64]
    ) -> None:
        self.source = {word: i for i, word in enumerate(source)}
        self.target = {word: i for i, word in enumerate(target)}
        self._weight = weight

    def of(self, word: str, count: int = 3) -> list[tuple[str, float]]:
        """What a word most likely means, likeliest first; nothing if it is unknown."""
        if word not in self.source or not self.target:
            return []
        row = self._weight[self.source[word]]
        names = list(self.target)
        best = np.argsort(-row, kind="stable")[:count]
        return [(names[i], float(row[i])) for i in best if row[i] > 0]

    def aligned(self, source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
        """Places of words that belong together, each at most once, the surest first; words spelled
        alike belong together where a side does not know them."""
        sure = np.zeros((len(source), len(target)))
        for i, one in enumerate(source):
            for j, other in enumerate(target):
                if one in self.source and other in self.target:
                    sure[i, j] = self._weight[self.source[one], self.target[other]]
                elif one == other:
                    sure[i, j] = 1.0
        pairs: list[tuple[int, int]] = []
        for place in np.argsort(-sure, axis=None, kind="stable"):
            i, j = divmod(int(place), max(len(target), 1))
            if sure[i, j] <= 0:
                break
            if all(i != a and j != b for a, b in pairs):
                pairs.append((i, j))
        return sorted(pairs)


def _standing(texts: Sequence[Iterable[str]], known: dict[str, int]) -> Any:
    """(n, words) 1 where a word stands in a text; ``known`` learns them."""
    from scipy import sparse

    rows, columns = [], []
    for row, text in enumerate(texts):
        for word in dict.fromkeys(text):
            rows.append(row)
            columns.append(known.setdefault(word, len(known)))
    ones = np.ones(len(rows), np.int64)
    return sparse.csr_matrix((ones, (rows, columns)), (len(texts), len(known)))


def _leading(counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """The words that come most often, of those that come at all."""
    order = np.argsort(-counts, kind="stable")[:MOST]
    return order[counts[order] > 0]


def _empty(height: int, width: int) -> Any:
    from scipy import sparse

    return sparse.csr_matrix((height, width), dtype=np.int64)


def _moved(table: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    """The same cells elsewhere in a larger table."""
    from scipy import sparse

    cells = table.tocoo()
    place = (rows[cells.row], columns[cells.col])
    return sparse.csr_matrix((cells.data, place), shape)
