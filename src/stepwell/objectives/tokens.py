"""What objectives over tokens share: a score of every token of the vocabulary, at every place."""

from __future__ import annotations

from math import log
from typing import ClassVar

from torch import Tensor, nn

from stepwell.objectives.base import Objective, Task


class OverTokens(Objective):
    """Objectives that tell tokens from the features of places.

    Parameters
    ----------
    tokens : int
        Size of the vocabulary.
    """

    takes: ClassVar[str] = "tokens"
    views: ClassVar[int] = 1
    compares: ClassVar[bool] = False
    reads: ClassVar[str] = "places"
    alone: ClassVar[bool] = True
    collapses: ClassVar[bool] = False

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__(width)
        self.tokens, self.head = tokens, nn.Linear(width, tokens)

    @classmethod
    def made(cls, width: int, task: Task) -> OverTokens:
        """For a backbone and a task."""
        return cls(width, task.tokens)

    def surprise(self, places: Tensor, tokens: Tensor) -> Tensor:
        """(n, t) nats that (n, t) tokens cost, by what (n, t, width) features of places say."""
        scores = self.head(places).flatten(0, 1)
        costs = nn.functional.cross_entropy(scores, tokens.flatten(), reduction="none")
        return costs.unflatten(0, tokens.shape)

    def chance(self, n: int) -> float:
        """All tokens alike."""
        return log(self.tokens)
