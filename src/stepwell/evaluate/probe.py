"""Few labels on a frozen embedding: kNN and a linear probe, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def hits_of(
    reader: str,
    bank: NDArray,
    labels: NDArray[np.intp],
    queries: NDArray,
    truth: NDArray[np.intp],
    budget: int | None,
    seed: int = 0,
) -> NDArray[np.bool_]:
    """(draws, m) which of the test set are told, with ``budget`` labels a class; one draw of all.

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
        return (predict(bank, labels, queries) == truth)[None]
    rng = np.random.default_rng(seed)
    drawn = [draw(labels, budget, rng) for _ in range(DRAWS)]
    return np.stack([predict(bank[rows], labels[rows], queries) == truth for rows in drawn])


def estimate(hits: NDArray[np.bool_]) -> Estimate:
    """Accuracy of (draws, m) hits: mean over draws, or a share where there is one."""
    draws, count = hits.shape
    if draws == 1:
        return share(int(hits.sum()), count)
    return over_draws([100 * float(each.mean()) for each in hits], count)


def few_labels(*asked: Any, **more: Any) -> Estimate:
    """Accuracy of what :func:`hits_of` finds of the same."""
    return estimate(hits_of(*asked, **more))
