"""Is there anything that examples share? Without labels, and before any pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spread(features: NDArray) -> float:
    """Effective dimensions of (n, d) features as a share of d, 0 … 1.

    The participation ratio (tr Σ)² / tr Σ²: d if variance is the same in all directions,
    as in noise; few where examples share structure. tr Σ² is taken from inner products of
    different rows, which makes it free of the bias of few examples. What is much
    depends on the features: an encoder that knows says so by its ``noise_spread``.
    """
    rows = np.asarray(features, np.float64)
    rows = rows - rows.mean(0)
    gram = rows @ rows.T
    count = len(rows)
    trace = np.trace(gram) / count
    square = (np.square(gram).sum() - np.square(np.diag(gram)).sum()) / (count * (count - 1))
    return float(min(1.0, trace**2 / max(square, 1e-30) / rows.shape[1]))
