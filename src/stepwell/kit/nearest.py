"""The rows of a table that are most similar to others, by cosine."""

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
