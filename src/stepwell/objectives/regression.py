"""Regression on pseudo-labels, as indicators of their classes.

Of linear maps and without hidden units: reduced-rank regression, whose span for indicators of
classes is that of linear discriminants (Hastie, Tibshirani & Buja, JASA 1994).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.cross_entropy import Telling


class Regression(Telling):
    """Mean over pseudo-labels of the squared error: ‖scores - indicator of the class‖²."""

    name: ClassVar[str] = "regression"

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, width) features of each view and (n, count) classes."""
        losses = []
        for name, scores in self.scores(seen).items():
            wanted = nn.functional.one_hot(told[name].reshape(scores.shape[:2]), scores.shape[2])
            losses.append((scores - wanted).square().sum(2).mean())
        return torch.stack(losses).mean()

    def chance(self, n: int) -> float:
        """The same share for all classes."""
        kinds = [kinds for _, kinds in self.classes.values()]
        return sum(1 - 1 / each for each in kinds) / len(kinds)
