"""A linear head: which features it reads, and how strongly, is chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Row, UsageError

Features = Mapping[str, Any]
"""(n, ·) matrices by name, dense or sparse, row by row the same examples."""
STRENGTHS = (1.0, 0.1, 10.0)
"""Inverse penalties that are tried; the first is taken where nothing speaks against it."""
FOLDS = 5
SURE = 2.0
"""Standard errors of the difference that something else has to be better by: with few labels chance
decides otherwise. On held-out training sentences of SST-2 taking the best of all told 0.3 per cent
less with 10 labels a class, and 1.0 less with 50."""


@dataclass(frozen=True, eq=False)
class Head:
    """Logistic regression on some features of examples.

    Attributes
    ----------
    reads : tuple of str
        Names of the features, in the order of their weights.
    classes : tuple of str
    weight, bias : (c, d), (c,)
        Scores of classes; softmax makes probabilities of them.
    heat : float
        What scores are divided by so that probabilities are right as often as they say (C. Guo et
        al., ICML 2017).
    """

    reads: tuple[str, ...]
    classes: tuple[str, ...]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    heat: float = 1.0

    name: ClassVar[str] = "head"

    def __call__(self, features: Features) -> NDArray[np.float64]:
        """(n, c) probabilities."""
        return shares(self.scores(features) / self.heat)

    def scores(self, features: Features) -> NDArray[np.float64]:
        """(n, c), before they are made probabilities."""
        return np.asarray(beside(features, self.reads) @ self.weight.T + self.bias)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Names, and weights."""
        names = {"reads": list(self.reads), "classes": list(self.classes), "heat": self.heat}
        return names, {"weight": self.weight, "bias": self.bias}

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        reads, classes = (tuple(settings[name]) for name in ("reads", "classes"))
        weight, bias = (np.array(arrays[name]) for name in ("weight", "bias"))
        return cls(reads, classes, weight, bias, float(settings["heat"]))


def chosen_head(
    features: Features,
    labels: Sequence[str],
    groups: Sequence[str],
    candidates: Sequence[tuple[str, ...]],
    *,
    seed: int = 0,
) -> tuple[Head, list[Row]]:
    """The head that tells held-out labels best.

    Parameters
    ----------
    features : mapping of name to (n, ·)
    labels, groups : (n,) str
        No group is in two folds.
    candidates : sequence of tuple of str
        Which features may be read together. The first is taken unless another is better by more
        than chance, :data:`SURE`.

    Returns
    -------
    Head
    list of row
        Of each candidate ``reads``, ``strength``, ``loss`` (nats a label) and ``accuracy`` by
        cross-validation; ``chosen``.

    Raises
    ------
    UsageError
        If there are fewer than two classes.
    """
    classes, truth = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise UsageError(f"Expected labels of two classes or more, found {len(classes)}.")
    folds = _folds(truth, np.asarray(groups), seed)
    if not folds:
        head = _fitted(features, truth, candidates[0], classes, STRENGTHS[0])
        return head, [{"reads": list(candidates[0]), "strength": STRENGTHS[0], "chosen": True}]
    tried = [_tried(features, truth, reads, folds, len(classes)) for reads in candidates]
    best = _surest([losses for _, _, losses in tried])
    strength, scores, _ = tried[best]
    heat = heat_of(scores, truth)
    head = _fitted(features, truth, candidates[best], classes, strength, heat)
    rows = [
        {
            "reads": list(names),
            "strength": strength,
            "loss": float(losses.mean()),
            "accuracy": float((scores.argmax(1) == truth).mean()),
            "chosen": i == best,
        }
        for i, (names, (strength, scores, losses)) in enumerate(zip(candidates, tried, strict=True))
    ]
    return head, rows


def _folds(truth: NDArray[np.intp], groups: NDArray, seed: int) -> list[Any]:
    """Rows to learn from and to judge by; none where some class has a single group."""
    from sklearn.model_selection import StratifiedGroupKFold

    fewest = min(len(np.unique(groups[truth == c])) for c in range(truth.max() + 1))
    if fewest < 2:
        return []
    split = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    found = list(split.split(truth, truth, groups))
    whole = all(len(np.unique(truth[known])) == truth.max() + 1 for known, _ in found)
    return found if whole else []


def _tried(
    features: Features, truth: NDArray[np.intp], reads: tuple[str, ...], folds: list, count: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The best strength, held-out scores and losses."""
    x, found = beside(features, reads), []
    for strength in STRENGTHS:
        scores = np.zeros((len(truth), count))
        for known, asked in folds:
            weight, bias = _regressed(x[known], truth[known], strength)
            scores[asked] = x[asked] @ weight.T + bias
        told = shares(scores / heat_of(scores, truth))[np.arange(len(truth)), truth]
        found.append((strength, scores, -np.log(told + 1e-12)))
    return found[_surest([losses for _, _, losses in found])]


def _surest(losses: Sequence[NDArray[np.float64]]) -> int:
    """The first of several, or one that is better than it, and than those between, for sure."""
    best = 0
    for i, other in enumerate(losses):
        better = losses[best] - other
        if better.mean() > SURE * better.std() / len(better) ** 0.5:
            best = i
    return best


def _fitted(
    features: Features,
    truth: NDArray[np.intp],
    reads: tuple[str, ...],
    classes: NDArray,
    strength: float,
    heat: float = 1.0,
) -> Head:
    weight, bias = _regressed(beside(features, reads), truth, strength)
    return Head(reads, tuple(map(str, classes)), weight, bias, heat)


def _regressed(
    x: Any, truth: NDArray[np.intp], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(c, d) weights and (c,) biases."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough
        found = LogisticRegression(C=strength, max_iter=500).fit(x, truth)
    weight, bias = found.coef_, found.intercept_
    if len(weight) == 1:  # of two classes one score is enough for it
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    return np.asarray(weight, np.float64), np.asarray(bias, np.float64)


def heat_of(scores: NDArray[np.float64], truth: NDArray[np.intp]) -> float:
    """What held-out scores have to be divided by for the least surprise.

    Targets are as sure as so many examples can make anybody, (n + 1) / (n + c) (J. Platt, 1999):
    few that are all told right do not make certain.
    """
    from scipy.optimize import minimize_scalar

    count, kinds = np.bincount(truth, minlength=scores.shape[1]), scores.shape[1]
    own = (count[truth] + 1) / (count[truth] + kinds)
    target = np.repeat(((1 - own) / (kinds - 1))[:, None], kinds, 1)
    target[np.arange(len(truth)), truth] = own

    def surprise(log_heat: float) -> float:
        p = shares(scores / np.exp(log_heat))
        return float(-(target * np.log(p + 1e-12)).sum(1).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-4, 4), method="bounded").x))


def beside(features: Features, reads: Sequence[str]) -> Any:
    """(n, ·) of several features, sparse where one of them is."""
    from scipy import sparse

    parts = [features[name] for name in reads]
    if any(sparse.issparse(part) for part in parts):
        return sparse.hstack([sparse.csr_matrix(part) for part in parts]).tocsr()
    return np.concatenate([np.asarray(part, np.float64) for part in parts], 1)


def margin(scores: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    """(n,) logarithm of how much likelier a label is than all others together."""
    from scipy.special import logsumexp

    return np.asarray(scores[:, label] - logsumexp(np.delete(scores, label, 1), axis=1))


def shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis."""
    from scipy.special import softmax

    return np.asarray(softmax(scores, axis=-1))
