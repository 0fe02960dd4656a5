"""Nearest neighbours by cosine: search, retrieval and classification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_BLOCK = 1024


def unit(rows: NDArray) -> F32:
    """Rows to unit length, float32; zero rows stay zero."""
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def similar(queries: NDArray, bank: NDArray, k: int) -> tuple[NDArray[np.intp], F32]:
    """The k most similar rows of ``bank`` for each query, most similar first.

    Returns
    -------
    rows : (n, k) int
    cosine : (n, k) float32
    """
    queries, bank = unit(queries), unit(bank)
    k = min(k, len(bank))
    found = [_top(queries[i : i + _BLOCK] @ bank.T, k) for i in range(0, len(queries), _BLOCK)]
    if not found:
        return np.empty((0, k), np.intp), np.empty((0, k), np.float32)
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def _top(scores: F32, k: int) -> tuple[NDArray[np.intp], F32]:
    rows = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    best = np.take_along_axis(scores, rows, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(best, order, axis=1)


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
