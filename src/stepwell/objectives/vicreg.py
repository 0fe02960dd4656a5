"""VICReg: views agree, dimensions vary, dimensions share nothing.

A. Bardes, J. Ponce & Y. LeCun, ICLR 2022 (arXiv 2105.04906), equations 1 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, relu

from stepwell.objectives.base import Joint, off_diagonal

EPSILON = 1e-4
"""Added to variances, as in the paper."""


class VICReg(Joint):
    """λ · invariance + μ · variance + ν · covariance.

    Of linear maps under a hard covariance constraint, the span of the top eigenvectors of
    Σ^-½ΓΣ^-½.

    Parameters
    ----------
    invariance, variance, covariance : float
        λ, μ and ν; the paper's are 25, 25 and 1.
    """

    name: ClassVar[str] = "vicreg"
    usual_variance: ClassVar[float] = 25.0
    """What training goes back to where a lower weight let everything collapse."""

    def __init__(
        self,
        width: int,
        sizes: Sequence[int] | None = None,
        invariance: float = 25.0,
        variance: float = usual_variance,
        covariance: float = 1.0,
    ) -> None:
        super().__init__(width, sizes)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance

    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views, (n, d)."""
        total = self.invariance * (z - partners).square().mean()
        for side in (z, partners):
            side = side - side.mean(0)
            cross = side.T @ side / (len(side) - 1)
            spread = (cross.diagonal() + EPSILON).sqrt()
            total = total + self.variance / 2 * relu(1 - spread).mean()
            total = total + self.covariance * off_diagonal(cross).square().sum() / side.shape[1]
        return total

    def chance(self, n: int) -> float:
        """All in one place: nothing varies."""
        return self.variance * (1 - EPSILON**0.5)
