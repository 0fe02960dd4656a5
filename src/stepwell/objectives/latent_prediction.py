"""Latent prediction: what a teacher, who sees all of it, says of hidden places.

A. Baevski et al., ICML 2022 (arXiv 2202.03555), equation 1, with layer-normalised targets; the
same aim as M. Assran et al., CVPR 2023 (arXiv 2301.08243).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from stepwell.objectives.base import NOTHING, Objective, Told, Views
from stepwell.objectives.hidden import at_places, layer_normed, mean_where


class LatentPrediction(Objective):
    """Smooth L1 distance to the teacher's normalised features at hidden places.

    Parameters
    ----------
    beta : float
        Distance up to which it is squared.
    """

    name: ClassVar[str] = "latent_prediction"
    takes: ClassVar[str] = "hidden"
    views: ClassVar[int] = 1
    teacher: ClassVar[bool] = True
    reads: ClassVar[str] = "places"
    alone: ClassVar[bool] = True

    def __init__(self, width: int, beta: float = 2.0) -> None:
        super().__init__(width)
        self.beta = beta
        self.predictor = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, 1 + t, width) predictions and the teacher's features of the same views."""
        total = seen[0].new_zeros(())
        for view, (said, known) in enumerate(zip(seen, targets, strict=True)):
            wanted = layer_normed(known[:, 1:])
            off = nn.functional.smooth_l1_loss(
                said[:, 1:], wanted, beta=self.beta, reduction="none"
            ).mean(2)
            mask = at_places(told["hidden"][:, view], off.shape[1])
            total = total + mean_where(off, mask)
        return total / len(seen)

    def chance(self, n: int) -> float:
        """Always 0 instead of features of variance 1, as long as these stay below β."""
        return 0.5 / self.beta
