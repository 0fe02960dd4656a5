"""iBOT: DINO, and for hidden places the class that the teacher sees there.

J. Zhou et al., ICLR 2022 (arXiv 2111.07832), equations 2 and 3; one head for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar

import torch
from torch import Tensor, nn

from stepwell.objectives.base import NOTHING, Objective, Told, Views, mlp, over_pairs
from stepwell.objectives.hidden import at_places, mean_where
from stepwell.objectives.prototypes import Prototypes


class EachPlace(nn.Sequential):
    """Layers for rows, on rows of whatever shape: batch normalisation sees them all alike."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x.flatten(0, -2))
        return out.unflatten(0, x.shape[:-1])


class IBOT(Objective):
    """Cross-entropy with a centred, sharpened teacher: of the whole between two views, and of
    hidden places within each.

    Parameters
    ----------
    prototypes : int
    student : float
    whole, part : float
        Temperatures of the teacher's classes.
    momentum : float
        Of the running means that centre the teacher.
    """

    name: ClassVar[str] = "ibot"
    takes: ClassVar[str] = "hidden"
    teacher: ClassVar[bool] = True
    reads: ClassVar[str] = "places"
    sizes: ClassVar[tuple[int, ...]] = (1024, 256)

    def __init__(
        self,
        width: int,
        sizes: Sequence[int] | None = None,
        prototypes: int = 1024,
        student: float = 0.1,
        whole: float = 0.04,
        part: float = 0.07,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(width)
        sizes = tuple(sizes or self.sizes)
        self.projector = EachPlace(mlp((width, *sizes)), Prototypes(sizes[-1], prototypes))
        self.prototypes, self.student, self.momentum = prototypes, student, momentum
        self.sharp = whole, part
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(2, prototypes))

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, 1 + t, K) scores of each view; then the centres move."""
        logs = [torch.log_softmax(scores / self.student, 2) for scores in seen]
        codes = [self._codes(t[:, 0], 0) for t in targets]
        whole = -over_pairs(_agreement, [each[:, 0] for each in logs], codes)
        parts = []
        for view, (said, known) in enumerate(zip(logs, targets, strict=True)):
            off = -(self._codes(known[:, 1:], 1) * said[:, 1:]).sum(2)
            parts.append(mean_where(off, at_places(told["hidden"][:, view], off.shape[1])))
        if self.training:
            self._move(torch.cat(list(targets)))
        return whole + torch.stack(parts).mean()

    def _codes(self, scores: Tensor, which: int) -> Tensor:
        """The teacher's classes: of the whole (0), or of places (1)."""
        return torch.softmax((scores - self.centre[which]) / self.sharp[which], -1)

    def _move(self, known: Tensor) -> None:
        means = torch.stack([known[:, 0].mean(0), known[:, 1:].mean((0, 1))])
        self.centre.lerp_(means.to(self.centre), 1 - self.momentum)

    def chance(self, n: int) -> float:
        """All classes alike, of both."""
        return 2 * log(self.prototypes)


def _agreement(own: Tensor, code: Tensor) -> Tensor:
    return (code * own).sum(1).mean()
