"""A plug-in: sentences in the lines of a .tsv file, learned from words next to each other."""

from itertools import pairwise

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from stepwell.interfaces import Batch, Pairs
from stepwell.kit.hashing import digest_rows


class Sentences:
    kind, reads = "text", "a .tsv file with a sentence a line"

    def __init__(self, path):
        self.path, self.name, self.skipped, self.options = path, path.stem, [], {}
        lines = path.read_text("utf-8").strip().split("\n")
        self._texts = {f"{path.name}#row={i}": x.split("\t")[0] for i, x in enumerate(lines)}

    @staticmethod
    def accepts(path):
        return path.suffix == ".tsv" and path.is_file()

    def entries(self):
        return ((id, id) for id in self._texts)

    def batches(self, size, *, ids=None):
        wanted = np.array([id for id in self._texts if ids is None or id in ids])
        for some in (wanted[i : i + size] for i in range(0, len(wanted), size)):
            texts = np.array([self._texts[id] for id in some.tolist()])
            yield Batch(some, {"text": texts}, some, digest_rows(t.encode() for t in texts))


class Neighbours:
    name, kinds, target = "neighbours", frozenset({"text"}), "same"

    def pairs(self, batch, seed, epoch=0):
        texts = map(str.split, batch.data["text"].tolist())
        cut = [[" ".join(w[i : i + 3]) for i in range(0, len(w), 3)] for w in texts]
        parts = np.array([part for parts in cut for pair in pairwise(parts) for part in pair], str)
        rows = np.repeat(np.arange(len(cut)), [2 * max(0, len(parts) - 1) for parts in cut])
        yield Pairs(batch.take(rows).with_data(text=parts), np.arange(len(rows)) // 2)


class Letters:
    name, kinds, width = "letters", frozenset({"text"}), 256

    def fit(self, founders, *, seed, observe):
        return self

    def state(self):
        return {}, {}

    def embed(self, batch):
        hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=self.width)
        return hashed.transform([*batch.data["text"], ""]).toarray()[:-1].astype(np.float32)

    @classmethod
    def from_state(cls, settings, arrays):
        return cls()
