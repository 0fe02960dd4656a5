"""How scores of classes are learned from labelled features: closed forms, and logistic regression.

``strength`` is how far labels are followed, the inverse of a penalty.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.sums import LabelSums, discriminants
from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import OWN, own_code, registered

F64 = NDArray[np.float64]
REACH = 0.5
"""Of the kernel, exp(-REACH d²) for features of length 1."""
SPAN = 4000
"""Examples that a kernel is solved for, at most: time grows as their number cubed."""

WITHIN = 1000
"""Examples among which logistic regression is solved, at most: the same cube."""
SPANNED = 1e-10
"""Squared length of a direction that rows span, relative to that of the longest."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """(n, d) features → (n, c) scores, linear in them or in their likeness to ``anchors``.

    Attributes
    ----------
    weight, bias : (c, d) or (c, m), (c,)
    anchors : (m, d), optional
        Examples of a Gaussian kernel.
    """

    weight: F64
    bias: F64
    anchors: NDArray[np.float32] | None = None

    def __call__(self, x: Any) -> F64:
        if self.anchors is not None:
            x = likeness(np.asarray(x, np.float32), self.anchors)
        return np.asarray(x @ self.weight.T + self.bias, np.float64)


@dataclass(frozen=True)
class Rule:
    """A way to learn.

    Attributes
    ----------
    fit : callable
        ``fit(x, truth, strength) -> Scorer`` of (n, d) features and (n,) classes from 0.
    strengths : tuple of float
        Those that are tried; the first is taken where nothing speaks against it.
    heat : float
        What scores are divided by where no label can be held back to find out.
    most : int, optional
        Examples it can be learned from.
    """

    fit: Callable[[Any, NDArray[np.intp], float], Scorer]
    strengths: tuple[float, ...]
    heat: float = 1.0
    most: int | None = None


def logistic(x: Any, truth: NDArray[np.intp], strength: float) -> Scorer:
    """Logistic regression; features may be sparse.

    Of fewer examples than features it is solved among the examples, exactly: the weights that cost
    least lie within what these span (B. Schölkopf, R. Herbrich & A. Smola, COLT 2001).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    within, back = _spanned(x) if len(truth) < min(x.shape[1], WITHIN) else (x, None)
    if not within.shape[1]:  # nothing is known of any of them
        within, back = x, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough
        found = LogisticRegression(C=strength, max_iter=500).fit(within, truth)
    weight, bias = found.coef_, found.intercept_
    if back is not None:
        weight = np.asarray(weight @ back)
    if len(weight) == 1:  # of two classes one score is enough for it
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    return Scorer(np.asarray(weight, np.float64), np.asarray(bias, np.float64))


def _spanned(x: Any) -> tuple[F64, Any]:
    """Rows in an orthonormal basis of what they span, (n, r), and that basis, (r, d)."""
    x = x.astype(np.float64) if hasattr(x, "toarray") else np.asarray(x, np.float64)
    alike = x @ x.T
    alike = alike.toarray() if hasattr(alike, "toarray") else alike
    squares, turn = np.linalg.eigh(alike)
    kept = squares > SPANNED * max(float(squares[-1]), 1e-300)
    sizes, turn = np.sqrt(squares[kept]), turn[:, kept]
    return turn * sizes, (x.T @ (turn / sizes)).T


def ridge(x: Any, truth: NDArray[np.intp], strength: float) -> Scorer:
    """Regression on one-hot classes. The penalty is relative to the mean variance of features."""
    x = np.asarray(x, np.float64)
    told = np.eye(int(truth.max()) + 1)[truth]
    centre, usual = x.mean(0), told.mean(0)
    x = x - centre
    return solved(x.T @ x / len(x), x.T @ (told - usual) / len(x), centre, usual, strength)


def solved(within: F64, both: F64, centre: F64, usual: F64, strength: float) -> Scorer:
    """Ridge regression from means and centred moments: (d, d) of features, which is written over,
    (d, c) with classes."""
    mean_variance = max(float(np.trace(within)) / len(within), 1e-12)
    within[np.diag_indices_from(within)] += mean_variance / strength
    weight = np.asarray(np.linalg.solve(within, both).T, np.float64)
    return Scorer(weight, usual - weight @ centre)


def discriminant(x: Any, truth: NDArray[np.intp], strength: float) -> Scorer:
    """Linear discriminant analysis; strength / (1 + strength) of the covariance is believed."""
    sums = LabelSums.of(x, [f"{c:09d}" for c in truth])
    return Scorer(*discriminants(sums, 1 / (1 + strength)))


def kernel(x: Any, truth: NDArray[np.intp], strength: float) -> Scorer:
    """Ridge regression on one-hot classes with a Gaussian kernel (C. Saunders et al., ICML
    1998)."""
    anchors = np.asarray(x, np.float32)
    told = np.eye(int(truth.max()) + 1)[truth]
    usual = told.mean(0)
    alike = likeness(anchors, anchors)
    alike[np.diag_indices_from(alike)] += 1 / strength
    weight = np.linalg.solve(alike, told - usual).T
    return Scorer(weight, usual, anchors)


def likeness(x: NDArray, anchors: NDArray) -> F64:
    """(n, m) Gaussian kernel."""
    x, anchors = np.asarray(x, np.float64), np.asarray(anchors, np.float64)
    apart = (x * x).sum(1)[:, None] + (anchors * anchors).sum(1) - 2 * x @ anchors.T
    return np.asarray(np.exp(-REACH * np.maximum(apart, 0)))


RULES: dict[str, Rule] = {
    "logistic": Rule(logistic, (1.0, 0.1, 10.0)),
    "kernel": Rule(kernel, (10.0, 100.0, 1.0), heat=0.3, most=SPAN),
    "ridge": Rule(ridge, (1.0, 0.1, 10.0), heat=0.3),
    "discriminant": Rule(discriminant, (0.1, 1.0)),
}


def rule_of(name: str) -> Rule:
    """By its name here, that of a plug-in (entry points ``stepwell.heads``), or as
    ``package.module:function``; a function alone is tried at strength 1.

    Raises
    ------
    UsageError
        For a name that nothing has.
    """
    if OWN.fullmatch(name):
        found = own_code(name, "a rule package.module:function")
    else:
        known = registered("heads", RULES)
        if name not in known:
            raise UsageError(
                f"Expected a rule for heads ({', '.join(sorted(known))}), or "
                f"package.module:function, found {name!r}.{nearest(name, known)}"
            )
        found = known[name]
    return found if isinstance(found, Rule) else Rule(found, (1.0,))
