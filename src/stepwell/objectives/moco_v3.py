"""MoCo v3: each view's prediction finds the teacher's projection of the other in the batch.

X. Chen, S. Xie & K. He, ICCV 2021 (arXiv 2104.02057), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import NOTHING, Objective, Told, Views, mlp, over_pairs, unit


class MoCoV3(Objective):
    """2τ · cross-entropy of the own example among all of the batch, by cosine over τ."""

    name: ClassVar[str] = "moco_v3"
    teacher: ClassVar[bool] = True
    sizes: ClassVar[tuple[int, ...]] = (1024, 256)

    def __init__(
        self, width: int, sizes: Sequence[int] | None = None, temperature: float = 0.2
    ) -> None:
        super().__init__(width)
        sizes, self.temperature = tuple(sizes or self.sizes), temperature
        self.projector = mlp((width, *sizes), normed_end=True)
        self.predictor = mlp((sizes[-1], sizes[0], sizes[-1]), normed_end=True)

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """Sum of both directions, as the paper has it; mean over pairs of views."""
        return 2 * over_pairs(self._one, seen, targets)

    def _one(self, queries: Tensor, known: Tensor) -> Tensor:
        near = unit(queries) @ unit(known).T / self.temperature
        own = torch.arange(len(near), device=near.device)
        return 2 * self.temperature * torch.nn.functional.cross_entropy(near, own)

    def chance(self, n: int) -> float:
        """All are as near as the own example."""
        return 4 * self.temperature * log(n)
