"""``words``: a text as the weighted mean of its words' vectors.

S. Arora, Y. Liang & T. Ma, ICLR 2017: a word weighs a / (a + p), p its share of all words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.words.vectors import counted, vectors
from stepwell.interfaces import Batch, Observer, StepwellError, UsageError, ignore
from stepwell.kit.names import nearest as nearest_name
from stepwell.kit.schema import Schema, Table, whole, words_in

WIDTHS = {"fast": 100, "default": 200, "large": 300}
RARE = 2
"""Words seen less often have no vector."""
MOST = 100_000
"""Words of the vocabulary, at most."""
SIGNS = 25_000_000
"""Of founders that words are counted in, about: of longer ones evenly some."""
OFTEN = 1000
"""Words that dimensions are told by, the most frequent ones."""
WEIGHT = 1e-3
"""The a of a / (a + p)."""
_SIGNS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Chinese and Japanese: each sign is a word here."""
_MARKS = "".join(
    sign for sign in map(chr, range(0x300, 0x3000)) if unicodedata.category(sign) in ("Mn", "Mc")
)
"""Marks that belong to the letter before them."""
_WORD = re.compile(rf"[{_SIGNS}]|(?:[^\W{_SIGNS}]|[{_MARKS}])+|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Words and signs of a text, in lower case."""
    return _WORD.findall(text.lower())


def spans_of(text: str) -> list[re.Match[str]]:
    """Where they stand, as they are written."""
    return list(_WORD.finditer(text))


class WordEncoder:
    """Weighted means of word vectors that are learned from which words stand together.

    Parameters
    ----------
    preset : {"fast", "default", "large"}
        100, 200 or 300 numbers a word.
    """

    name: ClassVar[str] = "words"
    kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(self, preset: str = "default") -> None:
        self.width = WIDTHS[preset]
        self._words: dict[str, int] = {}
        self._share = np.empty(0)
        self._vectors = np.empty((0, self.width), np.float32)

    def fit(self, founders: Batch, *, seed: int = 0, observe: Observer = ignore) -> Self:
        """Vocabulary and vectors from founders.

        Raises
        ------
        StepwellError
            If hardly a word comes twice.
        """
        column = np.concatenate([*founders.data.values()])  # translations too, where there are some
        signs = sum(len(str(text)) for text in column)
        texts = [words_of(str(text)) for text in column[:: max(1, -(-signs // SIGNS))]]
        counts = Counter(word for text in texts for word in text)
        common = sorted(
            (word for word, count in counts.items() if count >= RARE),
            key=lambda word: (-counts[word], word),
        )[:MOST]
        if len(common) < 2:
            raise StepwellError(
                "Expected texts in which words come again, found hardly any twice: give more "
                "texts, or longer ones."
            )
        observe("fit", {"done": 1, "of": 2})
        self._words = {word: number for number, word in enumerate(common)}
        known = np.array([counts[word] for word in common], np.float64)
        self._share = known / sum(counts.values())
        numbers = [self._numbers(text) for text in texts]
        self._vectors = vectors(counted(numbers, len(common)), self.width)
        observe("fit", {"done": 2, "of": 2})
        return self

    @property
    def words(self) -> list[str]:
        """The vocabulary, most frequent first."""
        return list(self._words)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(words, width), in the order of :attr:`words`."""
        return self._vectors

    def nearest(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """Words whose vectors point where that of a word does, and the cosines.

        Raises
        ------
        UsageError
            For a word that is not in the vocabulary.
        """
        row = self._words.get(word.lower())
        if row is None:
            raise UsageError(
                f"Expected a word that the founders know, found {word!r}."
                f"{nearest_name(word.lower(), self._words)}"
            )
        length = np.linalg.norm(self._vectors, axis=1)
        cosine = self._vectors @ self._vectors[row] / np.maximum(length * length[row], 1e-12)
        order = [i for i in np.argsort(-cosine, kind="stable") if i != row][:count]
        words = self.words
        return [(words[i], float(cosine[i])) for i in order]

    def _numbers(self, text: Iterable[str]) -> NDArray[np.intp]:
        found = (self._words.get(word, -1) for word in text)
        return np.array([number for number in found if number >= 0], np.intp)

    def embed(self, batch: Batch) -> NDArray[np.float32]:
        """(n, width) float32 of length 1; 0 where no word is known."""
        from scipy import sparse

        rows = [words_of(str(text)) for text in batch.data["text"]]
        words = np.array([self._words.get(word, -1) for row in rows for word in row], np.intp)
        known = np.cumsum([0, *(words >= 0)])  # words that are, up to each place
        place = known[np.cumsum([0, *map(len, rows)])]
        words = words[words >= 0]
        weight = (WEIGHT / (WEIGHT + self._share[words])).astype(np.float32)
        shape = (len(rows), len(self._words))
        table = sparse.csr_matrix((weight, words, place), shape)
        found = np.asarray(table @ self._vectors, np.float32)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(length > 0, length, 1), np.float32)

    def extremes(self, direction: NDArray, count: int = 4) -> tuple[list[str], list[str]]:
        """Words that a direction in feature space has at its low and at its high end, of those
        that come often."""
        own = (WEIGHT / (WEIGHT + self._share))[:OFTEN, None] * self._vectors[:OFTEN]
        order = np.argsort(own @ np.asarray(direction), kind="stable")
        words = list(self._words)
        named = [words[i] for i in order if words[i].isalnum()]
        return named[:count], named[::-1][:count]

    def randomised(self, seed: int) -> WordEncoder:
        """The same words with random vectors: a control."""
        twin = type(self)()
        twin.width, twin._words, twin._share = self.width, self._words, self._share
        rng = np.random.default_rng(seed)
        twin._vectors = rng.standard_normal(self._vectors.shape).astype(np.float32)
        return twin

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays; words as UTF-8, one a line."""
        text = "\n".join(self._words).encode("utf-8", "surrogatepass")
        arrays = {"words": np.frombuffer(text, np.uint8), "share": self._share}
        return {"width": self.width}, arrays | {"vectors": self._vectors}

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        arrays = {
            "words": Table("u", ("bytes",), size=1),
            "share": Table("f", ("words",), 0, 1),
            "vectors": Table("f", ("words", "width"), -1e15, 1e15),
        }
        width = settings.get("width", -1)
        return Schema({"width": whole(1, 100_000)}, arrays, {"width": width}, also=_as_many)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        encoder = cls()
        encoder.width = int(settings["width"])
        encoder._words = {word: number for number, word in enumerate(words_in(arrays["words"]))}
        encoder._share, encoder._vectors = np.array(arrays["share"]), np.array(arrays["vectors"])
        return encoder


def _as_many(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """As many words as vectors, each once."""
    words, vectors = len(words_in(arrays["words"])), len(arrays["vectors"])
    if words != vectors or not words:
        raise ValueError(f"{vectors} vectors of {words} words")
