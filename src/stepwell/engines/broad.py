"""Partly whitened features beside the modes: what few labels are told by.

Full whitening gives every direction the same say, and the few that vary most are what one to ten
labels a class can be told by. In the family

    M_a = Σ^(-a/2) Γ Σ^(-a/2) = U Λ Uᵀ,  z = Λ^α Uᵀ Σ^(-a/2) (φ - μ)

a says how far the gradient is preconditioned: a = 1 are the modes, a = 0 is what plain gradient
descent on the features learns first. No one a is best for all numbers of labels; two of them beside
each other are about as good as each is where it is best (docs/measurements.md has the table).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepwell.engines.moments import F64, Law
from stepwell.kit.linalg import fix_signs

WHITENED = 0.75
"""a, how far these features are whitened."""
POWER = 2.0
"""α, the power of their eigenvalues that weights them."""
COLUMNS = 64
"""As many as 512 told what few labels are, on seven data sets."""
SHARES = (0.2, 0.4)
"""Of a cosine, that is theirs: with twice as many units as features or more, and with fewer units
than features, where the many weak modes are mostly noise."""

USES: dict[str, float | None] = {"few": 0.5, "many": 0.1, "search": 0.5, "cluster": None}
"""The share that suits a use best: 1 to 5 labels a class, all labels, likeness, k-means; None: as
it was learned."""


@dataclass(frozen=True, eq=False)
class Components:
    """Leading principal components of features.

    Attributes
    ----------
    values : (k,) float64
        Variances, the ridge added.
    vectors : (d, k)
        Orthonormal.
    """

    values: F64
    vectors: F64


@dataclass(frozen=True, eq=False)
class Broad:
    """Columns beside the modes.

    Attributes
    ----------
    vectors : (d, b)
        Weighted by Λ^α.
    share : float
        Of a cosine, that is theirs.
    """

    vectors: F64
    share: float


def broad(law: Law, components: Components, gamma: F64 | None = None) -> Broad:
    """Of the pairs of a law; ``gamma`` instead of its own where a control has other pairs, or none.

    The leading components are as good as all, which a small eigenproblem is enough for.
    """
    axes, root = components.vectors, components.values ** (-WHITENED / 2)
    inner = axes.T @ (law.gamma if gamma is None else gamma) @ axes
    values, turn = np.linalg.eigh(inner * root[:, None] * root)
    values, turn = values[::-1][:COLUMNS], turn[:, ::-1][:, :COLUMNS]
    kept = values > max(float(values[0]), 0.0) * 1e-6
    values, turn = values[kept], turn[:, kept]
    if law.squared and gamma is None:
        values = np.sqrt(values)
    if not len(values):  # nothing is shared
        return Broad(np.zeros((len(axes), 0)), 0.0)
    scale = (values / values[0]) ** POWER
    return Broad(fix_signs((axes * root) @ turn) * scale, share_of(law))


def share_of(law: Law) -> float:
    """More of a cosine where there are fewer units for each feature."""
    scarce = np.clip(len(law.mu) / max(law.units, 1) - 0.5, 0.0, 0.5) * 2
    return float(SHARES[0] + scarce * (SHARES[1] - SHARES[0]))
