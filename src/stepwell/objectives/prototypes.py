"""Classes that nobody named: learned prototypes, and how well views agree on them."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from stepwell.objectives.base import Objective, mlp, over_pairs, unit


class Prototypes(nn.Module):
    """Cosines with learned directions: a linear layer whose input and rows have length 1."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(unit(torch.randn(count, width)))

    def forward(self, z: Tensor) -> Tensor:
        return unit(z, -1) @ unit(self.rows).T


class Clustering(Objective):
    """Objectives whose projections are scores of ``prototypes``.

    Parameters
    ----------
    sizes : sequence of int
        Units of the projector before the prototypes.
    prototypes : int
    temperature : float
        That scores are divided by before the softmax of the student.
    """

    def __init__(
        self, width: int, sizes: Sequence[int], prototypes: int, temperature: float
    ) -> None:
        super().__init__(width)
        sizes = tuple(sizes)
        self.projector = nn.Sequential(mlp((width, *sizes)), Prototypes(sizes[-1], prototypes))
        self.prototypes, self.temperature = prototypes, temperature

    def agreement(self, seen: Sequence[Tensor], codes: Sequence[Tensor]) -> Tensor:
        """Cross-entropy of each view's classes with the codes (n, K) of the others."""
        logs = [torch.log_softmax(scores / self.temperature, dim=1) for scores in seen]
        return -over_pairs(lambda own, code: (code * own).sum(1).mean(), logs, codes)

    def chance(self, n: int) -> float:
        """All classes alike."""
        return log(self.prototypes)
