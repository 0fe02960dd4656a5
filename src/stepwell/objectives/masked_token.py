"""Masked tokens: which ones stood where a mask stands now.

J. Devlin et al., NAACL 2019 (arXiv 1810.04805), section 3.1, task 1.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.hidden import mean_where
from stepwell.objectives.tokens import OverTokens


class MaskedToken(OverTokens):
    """Cross-entropy at masked places: the mean over each example's, then over examples."""

    name: ClassVar[str] = "masked_token"
    takes: ClassVar[str] = "masked"

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, 1 + t, width) features, of the whole and of t places, (n, t) ``tokens`` and
        (n, t) where they are ``masked``."""
        masked = told["masked"].bool()
        return mean_where(self.surprise(seen[0][:, 1:], told["tokens"], masked), masked)
