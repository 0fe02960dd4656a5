"""Cross-entropy over pseudo-labels: which class a pretext has made of an example.

S. Gidaris et al., ICLR 2018 (arXiv 1803.07728), equation 3; the same loss in M. Noroozi & P.
Favaro, ECCV 2016, C. Doersch et al., ICCV 2015, and M. Caron et al., ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import ClassVar

import torch
from torch import Tensor, nn

from stepwell.objectives.base import NOTHING, Objective, Task, Told, Views, mlp

HIDDEN = 512
"""Units between features and classes: what only serves the task stays out of the features."""


class Telling(Objective):
    """Objectives whose heads tell pseudo-labels from the features of all views.

    Parameters
    ----------
    classes : mapping of name to (int, int)
        Of each pseudo-label, how many it tells of an example, and of how many classes.
    views : int
        Views whose features stand side by side.
    hidden : int
        Units of the head.
    """

    takes: ClassVar[str] = "classes"
    views: ClassVar[int] = 1
    compares: ClassVar[bool] = False
    collapses: ClassVar[bool] = False

    def __init__(
        self,
        width: int,
        classes: Mapping[str, tuple[int, int]],
        views: int = 1,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__(width)
        self.classes = dict(classes)
        total = sum(count * kinds for count, kinds in self.classes.values())
        self.head = mlp((views * width, hidden, total))

    @classmethod
    def made(cls, width: int, task: Task) -> Telling:
        """For a backbone and a task."""
        return cls(width, task.classes, task.views)

    def scores(self, seen: Sequence[Tensor]) -> dict[str, Tensor]:
        """(n, count, classes) of each pseudo-label."""
        sizes = [count * kinds for count, kinds in self.classes.values()]
        parts = self.head(torch.cat(list(seen), 1)).split(sizes, 1)
        shapes = self.classes.items()
        return {
            name: part.unflatten(1, shape)
            for part, (name, shape) in zip(parts, shapes, strict=True)
        }


class CrossEntropy(Telling):
    """Mean over pseudo-labels of the cross-entropy of what is told."""

    name: ClassVar[str] = "cross_entropy"

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, width) features of each view and (n, count) classes."""
        losses = [
            nn.functional.cross_entropy(scores.flatten(0, 1), told[name].flatten())
            for name, scores in self.scores(seen).items()
        ]
        return torch.stack(losses).mean()

    def chance(self, n: int) -> float:
        """All classes alike."""
        return sum(log(kinds) for _, kinds in self.classes.values()) / len(self.classes)
