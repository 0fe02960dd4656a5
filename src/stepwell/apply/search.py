"""Find similar examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Row


def search(
    index: tuple[NDArray[np.str_], NDArray[np.floating]], query: NDArray[np.float32], n: int
) -> list[Row]:
    """The n rows of an index with the largest cosine to one query.

    Parameters
    ----------
    index : (N,) str, (N, k) float
        Ids and embeddings of unit length.
    query : (k,) float32
    n : int

    Returns
    -------
    list of {"id", "cosine"}, most similar first; ties in the order of the index
    """
    ids, bank = index
    rows, cosine = nearest(bank, query, n)
    return [
        {"id": str(ids[i]), "cosine": round(float(near), 4)}
        for i, near in zip(rows, cosine, strict=True)
    ]


def nearest(
    bank: NDArray[np.floating], query: NDArray[np.float32], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The n rows of ``bank`` with the largest cosine to ``query``, and these cosines.

    A block of the bank at a time: memory does not grow with its width.
    """
    scores = np.concatenate(
        [bank[i : i + 8192].astype(np.float32) @ query for i in range(0, len(bank), 8192)]
    )
    best = np.argsort(-scores, kind="stable")[:n]
    return best, scores[best]
