"""SimSiam: each view predicts the other, which takes no gradient.

X. Chen & K. He, CVPR 2021 (arXiv 2011.10566), equations 1 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from stepwell.objectives.base import NOTHING, Objective, Told, Views, cosine, mlp, over_pairs


class SimSiam(Objective):
    """-cosine of a view's prediction with the other's projection, both ways."""

    name: ClassVar[str] = "simsiam"
    sizes: ClassVar[tuple[int, ...]] = (512, 512, 512)
    hidden: ClassVar[int] = 128

    def __init__(self, width: int, sizes: Sequence[int] | None = None) -> None:
        super().__init__(width)
        sizes = tuple(sizes or self.sizes)
        self.projector = mlp((width, *sizes), normed_end=True)
        self.predictor = mlp((sizes[-1], self.hidden, sizes[-1]))

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """Mean over ordered pairs of views."""
        return -over_pairs(cosine, seen, targets)

    def chance(self, n: int) -> float:
        """Directions that have nothing to do with each other."""
        return 0.0
