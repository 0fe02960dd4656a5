"""Pretexts on texts: two parts of one text belong together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import compress
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Pairs, Seen
from stepwell.kit.hashing import keys, uniform, uniform_each
from stepwell.kit.texts import PAD, column_of
from stepwell.pretexts.tokens import trimmed

FEWEST = 4
"""Words, or letters, of a text that can be parted."""
_WORD = 0x7E87


class _Parted(ABC):
    """Each text as two parts of its words; those too short for that have no pair."""

    kinds: ClassVar[frozenset[str]] = frozenset({"text"})
    target: ClassVar[Literal["same", "other"]] = "same"
    partners: ClassVar[float] = 2.0

    @abstractmethod
    def _first(self, count: NDArray[np.intp], drawn: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Of each word whether it goes to the first part: texts of so many words one after the
        other, and a number drawn for each word."""

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit a text: both parts."""
        parted = [_words(str(text)) for text in batch.data["text"]]
        rows = np.flatnonzero([len(words) >= FEWEST for words, _ in parted])
        count = np.array([len(parted[row][0]) for row in rows], np.intp)
        drawn = uniform_each(keys(batch.digest[rows], seed, epoch, _WORD), count)
        first = np.split(self._first(count, drawn), np.cumsum(count))[:-1]
        parts = [
            glue.join(compress(words, side))
            for (words, glue), own in zip((parted[row] for row in rows), first, strict=True)
            for side in (own, ~own)
        ]
        found = batch.take(np.repeat(rows, 2)).with_data(text=column_of(parts))
        yield Pairs(found, np.arange(len(parts)) // 2)

    def seen(self, batch: Batch, seed: int, epoch: int, views: int) -> Seen:
        """Both parts, as (n, t) tokens that the encoder has made of texts; of a single one twice
        the same."""
        tokens = trimmed(batch.data["tokens"])
        there = tokens != PAD
        count = there.sum(1)
        first = np.zeros(tokens.shape, bool)
        drawn = uniform(keys(batch.digest, seed, epoch, _WORD), tokens.shape[1])
        first[there] = self._first(count, drawn[there])
        alone = (count < 2)[:, None]
        half = max(1, -(-tokens.shape[1] // 2))  # both as wide, whatever the longest text
        return Seen([_kept(tokens, side | alone)[:, :half] for side in (first, ~first)])


def _words(text: str) -> tuple[list[str], str]:
    """What a text is parted into, and what stands between; letters in scripts without spaces."""
    words = text.split()
    return (words, " ") if len(words) >= FEWEST else (list(text), "")


def _kept(tokens: Any, kept: Any) -> Any:
    """Tokens that are kept, one after the other."""
    kept = kept & (tokens != PAD)
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, tokens, PAD), order, 1)


class TextViews(_Parted):
    """A random half of a text's words, and the others: no word is in both."""

    name: ClassVar[str] = "two_views"

    def _first(self, count: NDArray[np.intp], drawn: NDArray[np.float64]) -> NDArray[np.bool_]:
        order = np.lexsort((drawn, np.repeat(np.arange(len(count)), count)))
        first = np.empty(len(drawn), bool)
        first[order] = _early(count)
        return first


class TextNeighbours(_Parted):
    """The first half of a text, and the second."""

    name: ClassVar[str] = "neighbours"

    def _first(self, count: NDArray[np.intp], drawn: NDArray[np.float64]) -> NDArray[np.bool_]:
        return _early(count)


def _early(count: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Of words of texts, one after the other, whether they stand in the first half of theirs."""
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.asarray(place < np.repeat(count // 2, count))
