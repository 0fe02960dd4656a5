"""Words and letters of texts as features for a head: TF-IDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from stepwell.kit.schema import Schema, Table, entries, several, word, words_in

SORTS: dict[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 2)},
    "letters": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}
MOST = 200_000
"""Terms of each sort, the most frequent ones."""


class Terms:
    """One or two words, and two to five letters, weighted by how few texts have them."""

    name: ClassVar[str] = "terms"

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def fit(self, texts: Sequence[str]) -> Self:
        """Terms of these texts."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        for sort, options in SORTS.items():
            made = TfidfVectorizer(sublinear_tf=True, max_features=MOST, **options)
            try:
                self._made[sort] = made.fit(texts)
            except ValueError:  # no term at all
                continue
        return self

    def __call__(self, texts: Sequence[str]) -> Any:
        """(n, terms) sparse."""
        from scipy import sparse

        parts = [made.transform(texts) for made in self._made.values()]
        empty = sparse.csr_matrix((len(texts), 1))
        return sparse.hstack(parts).tocsr() if parts else empty

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Terms as UTF-8, one a line, and their weights."""
        arrays = {}
        for sort, made in self._made.items():
            terms = "\n".join(sorted(made.vocabulary_, key=made.vocabulary_.get))
            arrays[f"{sort}_terms"] = np.frombuffer(
                terms.encode("utf-8", "surrogatepass"), np.uint8
            )
            arrays[f"{sort}_weight"] = np.asarray(made.idf_)
        return {"sorts": list(self._made)}, arrays

    @property
    def width(self) -> int:
        """Columns of what it makes of texts."""
        return sum(len(made.idf_) for made in self._made.values()) if self._made else 1

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        entries({"sorts": several(word(*SORTS), len(SORTS))})(dict(settings))
        arrays = {}
        for sort in settings["sorts"]:
            arrays[f"{sort}_terms"] = Table("u", (f"bytes of {sort}",), size=1)
            arrays[f"{sort}_weight"] = Table("f", (sort,), 0, 1e6)
        return Schema({}, arrays, also=_as_many)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        found = cls()
        for sort in settings["sorts"]:
            terms = words_in(arrays[f"{sort}_terms"])
            made = TfidfVectorizer(sublinear_tf=True, vocabulary=terms, **SORTS[sort])
            made.idf_ = np.array(arrays[f"{sort}_weight"])
            found._made[sort] = made
        return found


def _as_many(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """As many weights as terms, each once, and some."""
    if len(set(settings["sorts"])) != len(settings["sorts"]):
        raise ValueError(f"sorts = {settings['sorts']}")
    for sort in settings["sorts"]:
        terms, weights = len(words_in(arrays[f"{sort}_terms"])), len(arrays[f"{sort}_weight"])
        if terms != weights or not terms:
            raise ValueError(f"{weights} weights of {terms} {sort}")
