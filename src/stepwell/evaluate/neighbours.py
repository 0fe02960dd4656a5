"""Nearest neighbours by cosine: retrieval and classification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.kit.nearest import F32, similar, unit


def knn_votes(
    rows: NDArray[np.intp], cosine: F32, labels: NDArray[np.intp], temperature: float = 0.1
) -> NDArray[np.float64]:
    """(n, classes) weighted votes of neighbours, e^{cosine/T} each.

    Source: Wu et al., *Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination* (CVPR 2018), section 3.4.
    """
    votes = np.zeros((len(rows), int(labels.max()) + 1))
    weights = np.exp((cosine - 1) / temperature)
    for column, weight in zip(rows.T, weights.T, strict=True):
        votes[np.arange(len(rows)), labels[column]] += weight
    return votes


def knn_predict(
    bank: NDArray,
    labels: NDArray[np.intp],
    queries: NDArray,
    k: int = 20,
    temperature: float = 0.1,
) -> NDArray[np.intp]:
    """(n,) predicted labels of ``queries`` by cosine kNN over a labelled ``bank``."""
    rows, cosine = similar(queries, bank, k)
    return knn_votes(rows, cosine, labels, temperature).argmax(1)


def retrieved(views: NDArray, originals: NDArray) -> NDArray[np.bool_]:
    """(n,) whether each view's nearest original is its own: row i belongs to row i."""
    rows, _ = similar(views, originals, 1)
    return rows[:, 0] == np.arange(len(views))


__all__ = ["knn_predict", "knn_votes", "retrieved", "similar", "unit"]
