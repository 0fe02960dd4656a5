"""Whether a network in training already beats its controls: told where labels are at hand.

Nothing here changes what is learned: labels only make numbers of the progress line.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from stepwell.evaluate.controls import raw_features
from stepwell.evaluate.probe import knn
from stepwell.interfaces import Batch, Source, concatenate
from stepwell.kit.hashing import drawn, fold_of

MOST, FEWEST = 600, 40
"""Labelled examples that are drawn at most, and below which nothing is told."""
SHARE = 0.01
"""Of the time that it may take."""


def few(source: Source, labels: Mapping[str, str], seed: int) -> tuple[Batch, list[str]] | None:
    """A few labelled examples of a source, drawn by hash; None where there are too few."""
    names = sorted(labels)
    chosen = {names[i] for i in drawn(seed, names, MOST)}
    parts = list(source.batches(64, ids=chosen)) if len(chosen) >= FEWEST else []
    if sum(map(len, parts)) < FEWEST:
        return None
    batch = concatenate(parts)
    return batch, [labels[str(name)] for name in batch.ids]


class Online:
    """kNN of one half of a few labelled examples by the other, beside raw input and the network
    as it was at first.

    Parameters
    ----------
    encoder : NetworkEncoder
        As it is before training.
    batch : Batch
    labels : list of str
    """

    def __init__(self, encoder: Any, batch: Batch, labels: list[str]) -> None:
        self._encoder, self._batch = encoder, batch
        self._truth = np.unique(labels, return_inverse=True)[1]
        # A film or a patient is in one half.
        self._bank = fold_of(0, [str(name) for name in batch.group], folds=2) == 0
        raw = self._score(raw_features(batch))
        self._begun = time.perf_counter()
        self.facts = {"knn raw": raw, "knn first": self._now()}
        self._cost = time.perf_counter() - self._begun
        self._spent = 0.0

    def told(self, last: bool = False) -> Mapping[str, float]:
        """The figures, those of the network made anew where that is worth the time; ``last``:
        in any case."""
        now = time.perf_counter()
        if last or self._spent + self._cost < SHARE * (now - self._begun):
            self.facts["knn"] = self._now()
            self._spent += time.perf_counter() - now
        return self.facts

    def _now(self) -> float:
        """Per cent of the half whose class the other half tells, by features as they are now."""
        return self._score(self._encoder.embed(self._batch))

    def _score(self, features: Any) -> float:
        bank, asked = self._bank, ~self._bank
        z = features - features[bank].mean(0)
        z /= np.linalg.norm(z, axis=1, keepdims=True) + 1e-12
        told = knn(z[bank], self._truth[bank], z[asked])
        return float((told == self._truth[asked]).mean() * 100)
