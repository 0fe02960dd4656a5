"""Sequence to sequence: the answer to a text, token by token.

I. Sutskever, O. Vinyals & Q. V. Le, NeurIPS 2014; smoothed targets of C. Szegedy et al., CVPR 2016,
section 7, as in A. Vaswani et al., NeurIPS 2017.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from stepwell.kit.texts import PAD
from stepwell.objectives.base import NOTHING, Told, Views
from stepwell.objectives.hidden import mean_where
from stepwell.objectives.tokens import OverTokens

SMOOTHED = 0.1
"""Share of a target that all tokens get."""


class SequenceToSequence(OverTokens):
    """Cross-entropy of each token of an answer, from the text and the tokens before it: the mean
    over each example's, then over examples."""

    name: ClassVar[str] = "seq2seq"
    takes: ClassVar[str] = "answers"
    views: ClassVar[int] = 2
    reads: ClassVar[str] = "answers"

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, t, width) features of the places of an answer, whose ``tokens`` (n, t) are
        told."""
        tokens = told["tokens"][:, 1:]
        real = tokens != PAD
        return mean_where(self.surprise(seen[0][:, :-1], tokens, real, SMOOTHED), real)
