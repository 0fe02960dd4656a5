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
    embedding : nn.Embedding, optional
        The backbone's, whose weights then score tokens too (O. Press & L. Wolf, EACL 2017).
    """

    views: ClassVar[int] = 1
    compares: ClassVar[bool] = False
    reads: ClassVar[str] = "places"
    alone: ClassVar[bool] = True
    collapses: ClassVar[bool] = False

    def __init__(self, width: int, tokens: int, embedding: nn.Embedding | None = None) -> None:
        super().__init__(width)
        self.tokens = tokens
        self.head = nn.Linear(width, tokens, bias=embedding is None)
        if embedding is not None:
            self.head.weight = embedding.weight

    @classmethod
    def made(cls, width: int, task: Task) -> OverTokens:
        """For a backbone and a task."""
        return cls(width, task.tokens, task.embedding)

    def surprise(
        self, places: Tensor, tokens: Tensor, where: Tensor, smoothed: float = 0.0
    ) -> Tensor:
        """(n, t) nats that (n, t) tokens cost, by what (n, t, width) features of places say;
        0 where they are not asked for."""
        scores = self.head(places[where])
        cost = nn.functional.cross_entropy(
            scores, tokens[where], reduction="none", label_smoothing=smoothed
        )
        return cost.new_zeros(tokens.shape).masked_scatter(where, cost)

    def chance(self, n: int) -> float:
        """All tokens alike."""
        return log(self.tokens)
