"""SimCLR: each view finds its sibling among all others (NT-Xent).

T. Chen, S. Kornblith, M. Norouzi & G. Hinton, ICML 2020 (arXiv 2002.05709), equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import Joint, unit


class SimCLR(Joint):
    """Cross-entropy of the sibling among the 2n - 1 other views, by cosine over ``temperature``."""

    name: ClassVar[str] = "simclr"
    sizes: ClassVar[tuple[int, ...]] = (512, 128)

    def __init__(
        self, width: int, sizes: Sequence[int] | None = None, temperature: float = 0.2
    ) -> None:
        super().__init__(width, sizes)
        self.temperature = temperature

    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views, (n, d)."""
        n, both = len(z), unit(torch.cat([z, partners]))
        near = both @ both.T / self.temperature
        itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
        near = near.masked_fill(itself, -torch.inf)
        sibling = torch.arange(2 * n, device=z.device).roll(n)
        return torch.nn.functional.cross_entropy(near, sibling)

    def chance(self, n: int) -> float:
        """All others are as near as the sibling."""
        return log(2 * n - 1)
