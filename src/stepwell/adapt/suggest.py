"""Which examples to label next: typical ones of what no label covers, and those it is unsure of.

While labels are few, the most typical example of each cluster without one (TypiClust: G. Hacohen,
A. Dekel & D. Weinshall, ICML 2022); clusters that a head is less sure of come first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.kit.nearest import similar, unit

CLUSTERS = 500
"""At most; of more labels and suggestions together some clusters get several."""
NEAREST = 20


def suggest_rows(
    embeddings: NDArray,
    count: int,
    labelled: NDArray[np.intp],
    unsure: NDArray | None = None,
    seed: int = 0,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows whose labels would help most, the first first, and how typical each is.

    Parameters
    ----------
    embeddings : (n, k)
    count : int
    labelled : (l,) int
        Rows that have a label.
    unsure : (n,), optional
        How little a head knows of each, 0 to 1.
    """
    from sklearn.cluster import MiniBatchKMeans

    x = unit(np.asarray(embeddings))
    free = np.setdiff1d(np.arange(len(x)), labelled)
    count = min(count, len(free))
    if not count:
        return np.zeros(0, np.intp), np.zeros(0)
    clusters = min(len(labelled) + count, CLUSTERS, len(x))
    found = MiniBatchKMeans(clusters, random_state=seed, n_init=3, batch_size=4096).fit(x)
    typical = typicality(x)
    worth = np.ones(len(x)) if unsure is None else 0.05 + unsure
    return _picked(found.labels_, typical, worth, labelled, free, count), typical


def typicality(x: NDArray) -> NDArray[np.float64]:
    """(n,) inverse of the mean distance to the nearest others."""
    _, cosine = similar(x, x, min(NEAREST, len(x) - 1) + 1)
    apart = np.sqrt(np.maximum(2 - 2 * cosine[:, 1:], 0)).mean(1)
    return np.asarray(1 / np.maximum(apart, 1e-6), np.float64)


def _picked(
    cluster: NDArray[np.intp],
    typical: NDArray[np.float64],
    worth: NDArray[np.float64],
    labelled: NDArray[np.intp],
    free: NDArray[np.intp],
    count: int,
) -> NDArray[np.intp]:
    """One a time: of the cluster with the fewest labels, then the most that is unknown."""
    kinds = int(cluster.max()) + 1
    had = np.bincount(cluster[labelled], minlength=kinds).astype(float)
    unknown = np.bincount(cluster[free], weights=worth[free], minlength=kinds)
    left = {c: list(rows) for c, rows in _ranked(cluster, typical * worth, free).items()}
    chosen: list[int] = []
    while len(chosen) < count:
        open_ = [c for c, rows in left.items() if rows]
        best = min(open_, key=lambda c: (had[c], -unknown[c]))
        chosen.append(int(left[best].pop(0)))
        had[best] += 1
    return np.array(chosen, np.intp)


def _ranked(
    cluster: NDArray[np.intp], score: NDArray[np.float64], free: NDArray[np.intp]
) -> dict[int, NDArray[np.intp]]:
    """Free rows of each cluster, the best first."""
    order = free[np.argsort(-score[free], kind="stable")]
    return {int(c): order[cluster[order] == c] for c in np.unique(cluster[order])}
