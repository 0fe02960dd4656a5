"""Pretexts on texts: two parts of one text belong together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np

from stepwell.interfaces import Batch, Pairs
from stepwell.kit.hashing import keys, uniform
from stepwell.kit.texts import column_of

FEWEST = 4
"""Words, or letters, of a text that can be parted."""
_WORD = 0x7E87


class _Parted(ABC):
    """Each text as two parts of its words; those too short for that have no pair."""

    kinds: ClassVar[frozenset[str]] = frozenset({"text"})
    target: ClassVar[Literal["same", "other"]] = "same"
    partners: ClassVar[float] = 2.0

    @abstractmethod
    def _first(self, words: list[str], drawn: Any) -> Any:
        """(t,) of each word, whether it goes to the first part."""

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
            first = self._first(words, uniform(key[row : row + 1], len(words))[0])
            for side in (first, ~first):
                parts.append(glue.join(w for w, own in zip(words, side, strict=True) if own))
                rows.append(row)
        found = batch.take(np.array(rows, np.intp)).with_data(text=column_of(parts))
        yield Pairs(found, np.arange(len(rows)) // 2)


class TextViews(_Parted):
    """A random half of a text's words, and the others: no word is in both."""

    name: ClassVar[str] = "two_views"

    def _first(self, words: list[str], drawn: Any) -> Any:
        return drawn.argsort(kind="stable").argsort(kind="stable") < len(words) // 2


class TextNeighbours(_Parted):
    """The first half of a text, and the second."""

    name: ClassVar[str] = "neighbours"

    def _first(self, words: list[str], drawn: Any) -> Any:
        return np.arange(len(words)) < len(words) // 2
