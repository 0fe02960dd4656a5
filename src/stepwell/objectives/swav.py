"""SwAV: each view tells the cluster that the other was put in; clusters are of equal size.

M. Caron et al., NeurIPS 2020 (arXiv 2006.09882), equations 2 to 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.prototypes import Clustering


class SwAV(Clustering):
    """Cross-entropy with codes that Sinkhorn-Knopp makes of the other view's scores.

    Parameters
    ----------
    prototypes : int
    temperature : float
    epsilon, rounds : float, int
        Smoothness and rounds of Sinkhorn-Knopp.
    """

    name: ClassVar[str] = "swav"
    sizes: ClassVar[tuple[int, ...]] = (1024, 128)

    def __init__(
        self,
        width: int,
        sizes: Sequence[int] | None = None,
        prototypes: int = 300,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        rounds: int = 3,
    ) -> None:
        super().__init__(width, sizes or self.sizes, prototypes, temperature)
        self.epsilon, self.rounds = epsilon, rounds

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """Mean over ordered pairs of views."""
        codes = [sinkhorn(scores.detach(), self.epsilon, self.rounds) for scores in targets]
        return self.agreement(seen, codes)


def sinkhorn(scores: Tensor, epsilon: float, rounds: int) -> Tensor:
    """(n, k) soft assignments: each row sums to 1, each cluster to about n / k."""
    exact = scores if scores.device.type == "mps" else scores.double()  # which has no doubles
    q = torch.exp((exact - exact.max()) / epsilon).T
    for _ in range(rounds):
        q = q / q.sum(1, keepdim=True) / len(q)
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q / q.sum(0)).T.to(scores.dtype)
