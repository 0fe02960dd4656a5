"""LeJEPA: views are predicted from their mean, and embeddings are kept isotropic Gaussian.

R. Balestriero & Y. LeCun, 2025 (arXiv 2511.08544): SIGReg by the Epps-Pulley statistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import NOTHING, Joint, Told, Views

SLICES, REACH, POINTS = 256, 5.0, 17
"""Random directions, and the grid of frequencies that the statistic is integrated over."""


class LeJEPA(Joint):
    """(1 - λ) · mean squared distance to the mean view + λ · SIGReg.

    Parameters
    ----------
    weight : float
        λ.
    """

    name: ClassVar[str] = "lejepa"
    sizes: ClassVar[tuple[int, ...]] = (512, 64)

    def __init__(
        self, width: int, sizes: Sequence[int] | None = None, weight: float = 0.05
    ) -> None:
        super().__init__(width, sizes)
        self.weight = weight
        self.step: Tensor
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views, (n, d)."""
        return self.loss((z, partners), ())

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """The loss of V views; directions are drawn anew at each call, by its number.

        Views at full size, the first two, say where the mean is.
        """
        views = torch.stack(list(seen))
        agree = (views - views[:2].mean(0)).square().mean()
        directions = self._directions(views.shape[-1]).to(views)
        normal = torch.stack([sigreg(view, directions) for view in views]).mean()
        return (1 - self.weight) * agree + self.weight * normal

    def _directions(self, width: int) -> Tensor:
        random = torch.Generator().manual_seed(int(self.step))
        if self.training:
            self.step += 1
        drawn = torch.randn(width, SLICES, generator=random)
        return drawn / drawn.norm(dim=0)


def sigreg(z: Tensor, directions: Tensor) -> Tensor:
    """Mean Epps-Pulley statistic of (n, d) embeddings along (d, m) directions of length 1.

    n ∫ |φ_n(t) - e^(-t²/2)|² e^(-t²/2) dt, with φ_n the empirical characteristic function.
    """
    t = torch.linspace(-REACH, REACH, POINTS, dtype=z.dtype, device=z.device)
    normal = torch.exp(-t.square() / 2)
    angles = (z @ directions)[..., None] * t
    off = (angles.cos().mean(0) - normal).square() + angles.sin().mean(0).square()
    return len(z) * torch.trapezoid(off * normal, t, dim=-1).mean()
