"""Few labels among many examples: they spread along the neighbour graph of the embedding.

Labels are sources of a current, and each example gets the class whose potential is highest there
(Poisson learning: J. Calder et al., ICML 2020): unlike label propagation it stays meaningful with
one label a class. Ridge regression then makes a linear map of what all examples were given, so that
new ones can be told too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.calibrate import shares
from stepwell.adapt.rules import Rule, Scorer, ridge
from stepwell.kit.nearest import similar

NEIGHBOURS = 10
LEAK = 0.1
"""Share of its degree that flows away at each example: labels stay near by."""
TOLD = 0.25
"""Share of what the regression follows that is labelled."""
AFTER = Rule(ridge, (0.3, 1.0, 0.1), heat=0.3)
"""What follows the spreading."""


class Spread:
    """Labels of a few rows, spread to all.

    Parameters
    ----------
    labelled : (n, k)
        Embeddings of length 1 of which labels are known, or held back.
    others : (m, k)
        Of examples without.
    """

    def __init__(self, labelled: NDArray, others: NDArray) -> None:
        self._x = np.concatenate([labelled, others]).astype(np.float32)
        self._labelled = len(labelled)
        self._known: dict[bytes, NDArray[np.intp]] = {}
        self._graph = neighbour_graph(self._x)

    def fit(self, truth: NDArray[np.intp], rows: NDArray[np.intp], strength: float) -> Scorer:
        """From the labels of some rows of ``labelled``, classes from 0."""
        given = self._given(truth, rows)
        counts = np.ones(len(given))
        counts[: self._labelled] = 0  # those held back are as new to the map as others will be
        counts[rows] = max(1.0, TOLD / (1 - TOLD) * len(given) / len(rows))
        return ridge(self._x, given, strength, counts)

    def _given(self, truth: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Spread once for all strengths."""
        key = rows.tobytes()
        if key not in self._known:
            self._known[key] = self.spread(truth, rows)
        return self._known[key]

    def spread(self, truth: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """(n + m,) the class that each example is given."""
        from scipy import sparse
        from scipy.sparse.linalg import cg

        degree = np.asarray(self._graph.sum(1)).ravel() + 1e-9
        own = degree + LEAK * degree.mean()
        flow, scale = sparse.diags(own) - self._graph, sparse.diags(1 / own)
        told = np.eye(int(truth.max()) + 1)[truth[rows]]
        source = np.zeros((len(degree), told.shape[1]))
        source[rows] = told - told.mean(0)
        potential = [cg(flow, column, rtol=1e-9, maxiter=300, M=scale)[0] for column in source.T]
        given = np.argmax(potential, axis=0)
        given[rows] = truth[rows]
        return given


def neighbour_graph(x: NDArray[np.float32]) -> Any:
    """(n, n) sparse and symmetric: likeness of each row of length 1 to its nearest ones, relative
    to how far these are."""
    from scipy import sparse

    near, cosine = similar(x, x, min(NEIGHBOURS, len(x) - 1) + 1)
    rows = np.repeat(np.arange(len(x)), near.shape[1])
    apart = 2 - 2 * cosine.clip(-1, 1)
    weight = np.exp(-4 * apart / np.maximum(apart.max(1, keepdims=True), 1e-9)).ravel()
    weight[rows == near.ravel()] = 0  # itself
    graph = sparse.csr_matrix((weight, (rows, near.ravel())), (len(x), len(x)))
    return (graph + graph.T) / 2


def unsure_of(labelled: NDArray, truth: NDArray[np.intp], others: NDArray) -> NDArray[np.float64]:
    """(n + m,) entropy of what labels of the first say of all, 0 to 1."""
    scorer = Spread(labelled, others).fit(truth, np.arange(len(truth)), AFTER.strengths[0])
    told = shares(scorer(np.concatenate([labelled, others])) / AFTER.heat)
    entropy = -(told * np.log(told + 1e-12)).sum(1)
    return np.asarray(entropy / np.log(told.shape[1]))
