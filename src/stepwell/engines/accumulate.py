"""One pass over the data: pairs to exact moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from stepwell.engines.moments import DenseMoments
from stepwell.engines.quantise import Quantiser
from stepwell.interfaces import Batch, Encoder, Pairs, Pretext, UsageError


@dataclass(frozen=True, eq=False)
class Encoded:
    """A batch that went through: its own codes, and those of its pairs.

    Attributes
    ----------
    batch : Batch
    codes : (n, d) int8
    paired, unit : (m, d) int8, (m,) int
    names : (u, 2) str, int
        Of each unit: the example of its first row, and how many units of that example were
        before it. The same whatever else is in the batch.
    """

    batch: Batch
    codes: Any
    paired: Any
    unit: NDArray[np.intp]
    names: list[tuple[str, int]]


class Known:
    """Codes of examples that were encoded before: founders.

    Parameters
    ----------
    ids : sequence of str
    codes : (n, d) int8
    """

    def __init__(self, ids: Iterable[str], codes: Any) -> None:
        self.ids, self.codes = [str(name) for name in ids], codes
        self._row = {name: row for row, name in enumerate(self.ids)}

    def complete(self, pairs: Pairs, ids: Iterable[str], encode: Callable[[Batch], Any]) -> Any:
        """Codes of all rows of ``pairs``; ``encode`` is asked for those that are not known.

        ``ids`` are of the batch: known are rows that the pairs say are its own examples.
        """
        if pairs.anchor is None or not self._row:
            return encode(pairs.x)
        found = np.array([self._row.get(str(name), -1) for name in ids])
        there = pairs.anchor[found >= 0]
        rest = np.setdiff1d(np.arange(len(pairs.x)), there)
        codes = np.empty((len(pairs.x), self.codes.shape[1]), np.int8)
        codes[there] = self.codes[found[found >= 0]]
        if len(rest):
            codes[rest] = np.asarray(encode(pairs.x.take(rest)))
        return codes


def accumulate(
    batches: Iterable[Batch],
    pretext: Pretext,
    encoder: Encoder,
    quantiser: Quantiser,
    moments: DenseMoments,
    seed: int,
    known: Known,
) -> Iterator[Encoded]:
    """Add every batch's pairs to ``moments``; yield what was encoded on the way."""

    def encode(rows: Batch) -> Any:
        return quantiser(encoder.embed(rows))

    for batch in batches:
        own, paired, units, first = None, [], [], 0
        names: list[tuple[str, int]] = []
        seen: Counter[str] = Counter()
        for pairs in pretext.pairs(batch, seed):
            _check(pairs)
            codes = known.complete(pairs, batch.ids, encode)
            moments.add(codes, pairs.unit)
            paired.append(codes)
            units.append(pairs.unit + first)
            first += int(pairs.unit.max(initial=-1)) + 1
            for name in _first_ids(pairs):
                names.append((name, seen[name]))
                seen[name] += 1
            if pairs.anchor is not None:
                own = codes[pairs.anchor]
        if own is None:
            own = encode(batch)
        yield Encoded(batch, own, _join(paired, own), np.concatenate(units or [_NONE]), names)


def _check(pairs: Pairs) -> None:
    if pairs.y is not None or pairs.weight is not None:
        raise UsageError(
            "Expected pairs of rows of one kind that all count the same, found partners of "
            "another kind (y) or weights: the spectral engine has no use for these."
        )


def _first_ids(pairs: Pairs) -> list[str]:
    """Ids of the first row of each unit."""
    found = np.full(int(pairs.unit.max(initial=-1)) + 1, "", dtype=pairs.x.ids.dtype)
    found[pairs.unit[::-1]] = pairs.x.ids[::-1]
    return [str(name) for name in found]


_NONE = np.empty(0, np.intp)


def _join(parts: list[Any], like: Any) -> Any:
    xp = array_namespace(like)
    return xp.concat(parts, axis=0) if parts else like[:0]


def shuffle_units(unit: NDArray[np.intp]) -> NDArray[np.intp]:
    """Units in which every row after the first of a unit is handed on to the next unit.

    The control that shows what the pairs themselves add. A shift instead of a random
    permutation: no row ever keeps its partner, and nothing has to be drawn.
    """
    count = int(unit.max(initial=-1)) + 1
    shifted: NDArray[np.intp] = (unit + place_within(unit)) % max(count, 1)
    return shifted


def place_within(unit: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many rows of its unit are before each row."""
    order = np.argsort(unit, kind="stable")
    place = np.empty(len(unit), np.intp)
    starts = np.searchsorted(unit[order], np.arange(int(unit.max(initial=-1)) + 1))
    place[order] = np.arange(len(unit)) - starts[unit[order]]
    return place
