"""Next token: which one follows, from all before it.

Y. Bengio et al., JMLR 2003, equation 6 (without its penalty); A. Radford et al., 2018, equation 1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.hidden import mean_where
from stepwell.objectives.tokens import OverTokens


class NextToken(OverTokens):
    """Cross-entropy of the token after each place: the mean over each example's, then over
    examples. The backbone must not look ahead."""

    name: ClassVar[str] = "next_token"
    takes: ClassVar[str] = "next"

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, 1 + t, width) features, of the whole and of t places, and (n, t) ``tokens``;
        ``real`` (n, t), where it is told, is 0 at those that only fill up."""
        tokens = told["tokens"]
        real = (told["real"] if "real" in told else torch.ones_like(tokens))[:, 1:].bool()
        return mean_where(self.surprise(seen[0][:, 1:-1], tokens[:, 1:], real), real)
