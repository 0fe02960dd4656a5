"""DINO: each view tells the class that a centred, sharpened teacher sees in the other.

M. Caron et al., ICCV 2021 (arXiv 2104.14294), equations 1 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import log
from typing import ClassVar

import torch
from torch import Tensor, nn

from stepwell.objectives.base import Objective, mlp, unit


class Prototypes(nn.Module):
    """Cosines with learned directions: a linear layer whose input and rows have length 1."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(unit(torch.randn(count, width)))

    def forward(self, z: Tensor) -> Tensor:
        return unit(z) @ unit(self.rows).T


class DINO(Objective):
    """Cross-entropy of the student's classes with the teacher's, over K learned prototypes.

    Parameters
    ----------
    prototypes : int
        K; the paper's 65,536 are for a million images.
    student, teacher_temperature : float
    momentum : float
        Of the running mean that centres the teacher.
    """

    name: ClassVar[str] = "dino"
    teacher: ClassVar[bool] = True
    sizes: ClassVar[tuple[int, ...]] = (1024, 256)

    def __init__(
        self,
        width: int,
        sizes: Sequence[int] | None = None,
        prototypes: int = 1024,
        student: float = 0.1,
        teacher_temperature: float = 0.04,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(width)
        sizes = tuple(sizes or self.sizes)
        self.projector = nn.Sequential(mlp((width, *sizes)), Prototypes(sizes[-1], prototypes))
        self.student, self.sharp, self.momentum = student, teacher_temperature, momentum
        self.prototypes = prototypes
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(prototypes))

    def loss(self, seen: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Mean over ordered pairs of views; then the centre moves."""
        said = [torch.softmax((t - self.centre) / self.sharp, dim=1) for t in targets]
        logs = [torch.log_softmax(z / self.student, dim=1) for z in seen]
        pairs = permutations(range(len(seen)), 2)
        total = -torch.stack([(said[j] * logs[i]).sum(1).mean() for i, j in pairs]).mean()
        if self.training:
            mean = torch.cat(list(targets)).mean(0).to(self.centre)
            self.centre.lerp_(mean, 1 - self.momentum)
        return total

    def chance(self, n: int) -> float:
        """All classes alike."""
        return log(self.prototypes)
