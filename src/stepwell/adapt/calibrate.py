"""Scores that become probabilities, which are right as often as they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def shares(scores: F64) -> F64:
    """Softmax over the last axis."""
    from scipy.special import softmax

    return np.asarray(softmax(scores, axis=-1))


def margin(scores: F64, label: int) -> F64:
    """(n,) logarithm of how much likelier a label is than all others together."""
    from scipy.special import logsumexp

    return np.asarray(scores[:, label] - logsumexp(np.delete(scores, label, 1), axis=1))


def heat_of(scores: F64, truth: NDArray[np.intp]) -> float:
    """What held-out scores (n, c) are divided by so that they say how sure they are (C. Guo et al.,
    ICML 2017).

    Targets are as sure as n examples of a class can make anybody, (n + 1) / (n + 2) (J. Platt,
    1999): few that are all told right do not make certain. It is looked for around how far scores
    spread: those of discriminants from few examples are in the thousands.
    """
    from scipy.optimize import minimize_scalar

    count, kinds = np.bincount(truth, minlength=scores.shape[1]), scores.shape[1]
    own = (count[truth] + 1) / (count[truth] + 2)
    target = np.repeat(((1 - own) / (kinds - 1))[:, None], kinds, 1)
    target[np.arange(len(truth)), truth] = own

    size = float((scores - scores.mean(1, keepdims=True)).std()) or 1.0

    def surprise(log_heat: float) -> float:
        p = shares(scores / (size * np.exp(log_heat)))
        return float(-(target * np.log(p + 1e-12)).sum(1).mean())

    return size * float(np.exp(minimize_scalar(surprise, bounds=(-6, 4), method="bounded").x))
