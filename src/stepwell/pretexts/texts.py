"""Pretexts on texts: two parts of one text belong together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Pairs, Seen
from stepwell.kit.hashing import keys, uniform
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
        """(n, t) of each word, whether it goes to the first part: of n texts of so many words,
        for which (n, t) numbers are drawn."""

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit a text: both parts."""
        key = keys(batch.digest, seed, epoch, _WORD)
        rows, parts = [], []
        for row, text in enumerate(batch.data["text"]):
            words, glue = str(text).split(), " "
            if len(words) < FEWEST:  # scripts without spaces: letters
                words, glue = list(str(text)), ""
            if len(words) < FEWEST:
                continue
            drawn = uniform(key[row : row + 1], len(words))
            first = self._first(np.array([len(words)]), drawn)[0]
            for side in (first, ~first):
                parts.append(glue.join(w for w, own in zip(words, side, strict=True) if own))
                rows.append(row)
        found = batch.take(np.array(rows, np.intp)).with_data(text=column_of(parts))
        yield Pairs(found, np.arange(len(rows)) // 2)

    def seen(self, batch: Batch, seed: int, epoch: int, views: int) -> Seen:
        """Both parts, as (n, t) tokens that the encoder has made of texts; of a single one twice
        the same."""
        tokens = trimmed(batch.data["tokens"])
        count = (tokens != PAD).sum(1)
        drawn = uniform(keys(batch.digest, seed, epoch, _WORD), tokens.shape[1])
        first = self._first(count, np.where(tokens == PAD, 1.0, drawn))
        alone = (count < 2)[:, None]
        half = max(1, -(-tokens.shape[1] // 2))  # both as wide, whatever the longest text
        return Seen([_kept(tokens, side | alone)[:, :half] for side in (first, ~first)])


def _kept(tokens: Any, kept: Any) -> Any:
    """Tokens that are kept, one after the other."""
    kept = kept & (tokens != PAD)
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, tokens, PAD), order, 1)


class TextViews(_Parted):
    """A random half of a text's words, and the others: no word is in both."""

    name: ClassVar[str] = "two_views"

    def _first(self, count: NDArray[np.intp], drawn: NDArray[np.float64]) -> NDArray[np.bool_]:
        rank = drawn.argsort(1, kind="stable").argsort(1, kind="stable")
        return rank < count[:, None] // 2


class TextNeighbours(_Parted):
    """The first half of a text, and the second."""

    name: ClassVar[str] = "neighbours"

    def _first(self, count: NDArray[np.intp], drawn: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.arange(drawn.shape[1]) < count[:, None] // 2
