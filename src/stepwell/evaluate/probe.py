"""Few labels on a frozen embedding: kNN and a linear probe, with intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stepwell.evaluate.intervals import Estimate, over_draws, share
from stepwell.evaluate.neighbours import knn_predict
from stepwell.evaluate.ridge import ridge_predict

BUDGETS: tuple[int | None, ...] = (1, 5, 10, 50, None)
"""Labels a class; None: all there are."""
DRAWS = 10
Predict = Callable[[NDArray, NDArray[np.intp], NDArray], NDArray[np.intp]]


def linear_predict(bank: NDArray, labels: NDArray[np.intp], queries: NDArray) -> NDArray[np.intp]:
    """Ridge classifier on standardised columns, its penalty by leave-one-out on the bank."""
    classes = np.unique(labels)
    if len(classes) == 1:
        return np.full(len(queries), classes[0])
    mean, scale = bank.mean(0), float(bank.std(0).mean()) or 1.0
    return ridge_predict((bank - mean) / scale, labels, (queries - mean) / scale)


def knn(bank: NDArray, labels: NDArray[np.intp], queries: NDArray) -> NDArray[np.intp]:
    """Cosine kNN, k = 20 or the number of labelled examples, T = 0.1."""
    return knn_predict(bank, labels, queries, k=min(20, len(bank)))


READERS: dict[str, Predict] = {"knn": knn, "probe": linear_predict}


def draw(labels: NDArray[np.intp], budget: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows of ``budget`` examples of each class (all of a class that has fewer)."""
    rows = [
        rng.permutation(np.flatnonzero(labels == label))[:budget] for label in np.unique(labels)
    ]
    return np.concatenate(rows)


def few_labels(
    reader: str,
    bank: NDArray,
    labels: NDArray[np.intp],
    queries: NDArray,
    truth: NDArray[np.intp],
    budget: int | None,
    seed: int = 0,
) -> Estimate:
    """Accuracy with ``budget`` labels a class: mean over draws, or of all labels.

    Parameters
    ----------
    reader : {"knn", "probe"}
    bank, labels : (n, k), (n,)
        What labels may be drawn from.
    queries, truth : (m, k), (m,)
        The test set.
    """
    predict = READERS[reader]
    if budget is None:
        hits = predict(bank, labels, queries) == truth
        return share(int(hits.sum()), len(truth))
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(DRAWS):
        rows = draw(labels, budget, rng)
        hits = predict(bank[rows], labels[rows], queries) == truth
        scores.append(100 * float(hits.mean()))
    return over_draws(scores, len(truth))
