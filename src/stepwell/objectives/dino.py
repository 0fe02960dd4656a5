"""DINO: each view tells the class that a centred, sharpened teacher sees in the other.

M. Caron et al., ICCV 2021 (arXiv 2104.14294), equations 1 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.prototypes import Clustering


class DINO(Clustering):
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
        super().__init__(width, sizes or self.sizes, prototypes, student)
        self.sharp, self.momentum = teacher_temperature, momentum
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(prototypes))

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """Mean over ordered pairs of views; then the centre moves."""
        said = [torch.softmax((t - self.centre) / self.sharp, dim=1) for t in targets]
        total = self.agreement(seen, said)
        if self.training:
            mean = torch.cat(list(targets)).mean(0).to(self.centre)
            self.centre.lerp_(mean, 1 - self.momentum)
        return total
