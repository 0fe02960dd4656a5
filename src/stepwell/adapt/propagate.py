"""Few labels among many examples: they spread along the neighbour graph of the embedding.

Labels are sources of a current, and each example gets the class whose potential is highest there
(Poisson learning: J. Calder et al., ICML 2020): unlike label propagation it stays meaningful with
one label a class. Ridge regression then makes a linear map of what all examples were given, so that
new ones can be told too. Beside it count the nearest class mean where labels are very few, which
spreads no mistake, and logistic regression where there are some: all three are linear.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.calibrate import shares
from stepwell.adapt.rules import Rule, Scorer, logistic, ridge, solved
from stepwell.kit.nearest import similar, unit

NEIGHBOURS = 10
LEAK = 0.1
"""Share of its degree that flows away at each example: labels stay near by."""
TOLD = 0.25
"""Share of what the regression follows that is labelled."""
AFTER = Rule(ridge, (0.3, 1.0, 0.1), heat=0.3)
"""What follows the spreading."""
ROUNDS, NEAR_ENOUGH = 300, 1e-9
"""Of conjugate gradients: far from all labels potentials are small, and their order decides."""
MEAN_UP_TO = 2.0
"""Labels a class up to which the class mean counts as much as what was spread; then less."""
LOGISTIC_FROM, LOGISTIC_AT = 3.0, 10.0
"""Labels a class from which on logistic regression counts, and where it counts as much."""
STRENGTH = 10.0
"""Of that logistic regression."""
JUDGED = 2000
"""Examples that the three are brought to one scale on."""


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
        spread = self._followed(self._given(truth, rows), rows, strength)
        return self._beside(spread, truth[rows], self._x[rows])

    def _followed(self, given: NDArray[np.intp], rows: NDArray[np.intp], strength: float) -> Scorer:
        """Ridge regression on what all were given but those held back, who are as new to the map as
        others will be; products of the others are those of all folds and strengths."""
        count = max(1.0, TOLD / (1 - TOLD) * len(given) / len(rows))
        told = np.eye(int(given.max()) + 1)[given]
        x, others = self._x[rows].astype(np.float64), self._x[self._labelled :]
        square, total = self._moments
        whole = len(others) + count * len(rows)
        centre, usual = (total + count * x.sum(0)) / whole, count * told[rows].sum(0)
        usual = (usual + told[self._labelled :].sum(0)) / whole
        both = others.T @ told[self._labelled :].astype(np.float32) + count * x.T @ told[rows]
        within = (square + count * x.T @ x) / whole - np.outer(centre, centre)
        cross = both / whole - np.outer(centre, usual)
        return solved(within, cross, centre, usual, strength)

    @cached_property
    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        others = self._x[self._labelled :].astype(np.float64)
        return others.T @ others, others.sum(0)

    def _beside(self, spread: Scorer, truth: NDArray[np.intp], x: NDArray) -> Scorer:
        """Class means and logistic regression beside what was spread, on its scale."""
        each = 1 / float(np.mean(1 / np.bincount(truth)))  # classes with a single label weigh most
        weights = [min(1.0, MEAN_UP_TO / each)]
        weights += [float(np.clip((each - LOGISTIC_FROM) / (LOGISTIC_AT - LOGISTIC_FROM), 0, 1))]
        makers = (_means, lambda x, truth: logistic(x, truth, STRENGTH))
        some = self._x[self._labelled :][:JUDGED]
        scale = _spread_of(spread, some)
        weight, bias = spread.weight, spread.bias
        for share, make in zip(weights, makers, strict=True):
            if share > 0:
                other = make(x, truth)
                share *= scale / max(_spread_of(other, some), 1e-12)
                weight, bias = weight + share * other.weight, bias + share * other.bias
        whole = 1 + sum(weights)
        return Scorer(weight / whole, bias / whole)

    def _given(self, truth: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Spread once for all strengths."""
        key = rows.tobytes()
        if key not in self._known:
            self._known[key] = self.spread(truth, rows)
        return self._known[key]

    def spread(self, truth: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """(n + m,) the class that each example is given."""
        told = np.eye(int(truth.max()) + 1)[truth[rows]]
        source = np.zeros((len(self._x), told.shape[1]))
        source[rows] = told - told.mean(0)
        given = np.argmax(potentials(self._graph, source), axis=1)
        given[rows] = truth[rows]
        return given


def potentials(graph: Any, source: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, c) of sources and sinks at the nodes of a graph, by conjugate gradients, all classes at
    once."""
    from scipy import sparse

    degree = np.asarray(graph.sum(1)).ravel() + 1e-9
    own = degree + LEAK * degree.mean()
    flow, scale = sparse.diags(own) - graph, (1 / own)[:, None]
    found, left = np.zeros_like(source), source
    ahead = scale * left
    along, size = ahead, (left * ahead).sum(0)
    enough = NEAR_ENOUGH**2 * np.maximum(size, 1e-300)
    for _ in range(ROUNDS):
        if (size <= enough).all():
            break
        pushed = flow @ along
        step = size / np.maximum((along * pushed).sum(0), 1e-300)
        found, left = found + step * along, left - step * pushed
        ahead = scale * left
        before, size = size, (left * ahead).sum(0)
        along = ahead + size / np.maximum(before, 1e-300) * along
    return found


def _means(x: NDArray, truth: NDArray[np.intp]) -> Scorer:
    """The nearest class mean by cosine."""
    told = np.eye(int(truth.max()) + 1)[truth]
    means = unit(told.T @ x).astype(np.float64)
    return Scorer(means, np.zeros(len(means)))


def _spread_of(scorer: Scorer, x: NDArray) -> float:
    """Standard deviation of scores within examples: how far apart classes are told."""
    scores = scorer(np.asarray(x, np.float64))
    return float((scores - scores.mean(1, keepdims=True)).std())


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
