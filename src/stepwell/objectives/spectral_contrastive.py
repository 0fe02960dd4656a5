"""The spectral contrastive loss: the objective whose linear optimum is the spectral engine's.

J. HaoChen, C. Wei, A. Gaidon & T. Ma, NeurIPS 2021 (arXiv 2106.04156), equation 6.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from stepwell.objectives.base import Joint, off_diagonal


class SpectralContrastive(Joint):
    """-2 E[z·z'] over pairs + E[(z·z')²] over rows of different examples.

    Of linear maps WᵀW = Σ^-½ U Λ Uᵀ Σ^-½, with the top eigenvectors of Σ^-½ΓΣ^-½.
    """

    name: ClassVar[str] = "spectral_contrastive"

    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views, (n, d)."""
        return off_diagonal(z @ partners.T).square().mean() - 2 * (z * partners).sum(1).mean()

    def chance(self, n: int) -> float:
        """All at 0."""
        return 0.0
