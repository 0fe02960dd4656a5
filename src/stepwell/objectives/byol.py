"""BYOL: each view predicts what a slowly following teacher says of the other.

J.-B. Grill et al., NeurIPS 2020 (arXiv 2006.07733), equation 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from stepwell.objectives.base import NOTHING, Objective, Told, Views, cosine, mlp, over_pairs


class BYOL(Objective):
    """2 - 2 cosine of a view's prediction with the teacher's projection of the other."""

    name: ClassVar[str] = "byol"
    teacher: ClassVar[bool] = True
    sizes: ClassVar[tuple[int, ...]] = (1024, 256)

    def __init__(self, width: int, sizes: Sequence[int] | None = None) -> None:
        super().__init__(width)
        sizes = tuple(sizes or self.sizes)
        self.projector = mlp((width, *sizes))
        self.predictor = mlp((sizes[-1], sizes[0], sizes[-1]))

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """Mean over ordered pairs of views."""
        return 2 - 2 * over_pairs(cosine, seen, targets)

    def chance(self, n: int) -> float:
        """Directions that have nothing to do with each other."""
        return 2.0
