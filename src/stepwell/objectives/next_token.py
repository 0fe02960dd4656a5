"""Next token: which one follows, from all before it.

Y. Bengio et al., JMLR 2003, equation 6 (without its penalty); A. Radford et al., 2018, equation 1.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.hidden import mean_where
from stepwell.objectives.tokens import OverTokens


class NextToken(OverTokens):
    """Cross-entropy of the token after each place: the mean over each example's, then over
    examples. The backbone must not look ahead."""

    name: ClassVar[str] = "next_token"

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, 1 + t, width) features, of the whole and of t places, and (n, t) ``tokens``;
        ``real`` (n, t), where it is told, is 0 at those that only fill up."""
        tokens = told["tokens"]
        costs = self.surprise(seen[0][:, 1:-1], tokens[:, 1:])
        real = told["real"][:, 1:].to(costs.dtype) if "real" in told else costs.new_ones(1)
        return mean_where(costs, real.expand_as(costs))
