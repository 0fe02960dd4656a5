"""Barlow Twins: views agree in each dimension, dimensions share nothing.

J. Zbontar, L. Jing, I. Misra, Y. LeCun & S. Deny, ICML 2021 (arXiv 2103.03230), equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from stepwell.objectives.base import Joint, off_diagonal

EPSILON = 1e-5
"""Added to variances, as batch normalisation does."""


class BarlowTwins(Joint):
    """Σᵢ (1 - Cᵢᵢ)² + λ Σᵢ≠ⱼ Cᵢⱼ², C the correlation matrix between the views of a batch.

    Of linear maps, at λ → 1, the span of the top eigenvectors of Σ^-½ΓΣ^-½.

    Parameters
    ----------
    off : float
        λ. The paper's .005 is for 8,192 dimensions.
    """

    name: ClassVar[str] = "barlow_twins"

    def __init__(self, width: int, sizes: Sequence[int] | None = None, off: float = 0.005) -> None:
        super().__init__(width, sizes)
        self.off = off

    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views, (n, d)."""
        cross = standardised(z).T @ standardised(partners) / len(z)
        on = (1 - cross.diagonal()).square().sum()
        return on + self.off * off_diagonal(cross).square().sum()


def standardised(z: Tensor) -> Tensor:
    """Columns of mean 0 and variance 1 over the batch."""
    z = z - z.mean(0)
    return z / (z.square().mean(0) + EPSILON).sqrt()
