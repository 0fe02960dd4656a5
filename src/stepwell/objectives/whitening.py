"""W-MSE: views agree once the batch is whitened, so that nothing can collapse.

A. Ermolov, A. Siarohin, E. Sangineto & N. Sebe, ICML 2021 (arXiv 2007.06346), equations 3 to 6.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import Joint, unit

RIDGE = 1e-3
"""Added to the covariance, relative to its mean variance, so that it can be inverted."""


class WhitenedMSE(Joint):
    """Squared distance of unit vectors after whitening each view's batch by Cholesky."""

    name: ClassVar[str] = "whitened_mse"
    sizes: ClassVar[tuple[int, ...]] = (512, 64)

    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views, (n, d); n must be larger than d."""
        one, other = (unit(whitened(side)) for side in (z, partners))
        return (one - other).square().sum(1).mean()

    def chance(self, n: int) -> float:
        """Directions that have nothing to do with each other."""
        return 2.0


def whitened(z: Tensor) -> Tensor:
    """(n, d) with mean 0 and identity covariance, by the Cholesky factor of its inverse."""
    z = z - z.mean(0)
    cross = z.T @ z / (len(z) - 1)
    ridge = RIDGE * cross.diagonal().mean() + 1e-12
    cross = cross + ridge * torch.eye(len(cross), dtype=z.dtype, device=z.device)
    lower = torch.linalg.cholesky(cross)
    return torch.linalg.solve_triangular(lower, z.T, upper=False).T
