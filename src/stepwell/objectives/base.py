"""What an objective is to the gradient engine, and the heads most of them share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise, permutations
from typing import ClassVar

import torch
from torch import Tensor, nn


class Objective(nn.Module):
    """A loss over views of the same examples, with the heads it needs on the backbone.

    The engine computes ``seen[v] = predict(project(backbone(view v)))`` for every view, and
    ``targets[v] = project(backbone(view v))`` without a gradient; of a slowly following copy of
    backbone and projector where ``teacher`` is set. Under several ranks both hold the rows of
    all of them.

    Parameters
    ----------
    width : int
        Features of the backbone.
    """

    name: ClassVar[str]
    teacher: ClassVar[bool] = False
    compares: ClassVar[bool] = True
    """Whether targets are needed at all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projector: nn.Module = nn.Identity()
        self.predictor: nn.Module = nn.Identity()

    @abstractmethod
    def loss(self, seen: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """One number from V views, (n, d) each: the lower the better."""

    def chance(self, n: int) -> float | None:
        """The loss of an embedding of n examples that tells nothing apart; None if unknown."""
        return None


class Joint(Objective):
    """Objectives that compare projections of views with each other, without a target."""

    compares = False
    sizes: ClassVar[tuple[int, ...]] = (1024, 512)

    def __init__(self, width: int, sizes: Sequence[int] | None = None) -> None:
        super().__init__(width)
        self.projector = mlp((width, *(sizes or self.sizes)))

    @abstractmethod
    def pair(self, z: Tensor, partners: Tensor) -> Tensor:
        """The loss of two views."""

    def loss(self, seen: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Mean over neighbouring views: the first with the second, and so on."""
        return torch.stack([self.pair(z, partners) for z, partners in pairwise(seen)]).mean()


def mlp(sizes: Sequence[int], *, normed_end: bool = False) -> nn.Sequential:
    """Linear layers with batch normalisation and ReLU between them.

    ``normed_end``: batch normalisation without scale after the last one too.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes[:-1]):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
    layers.append(nn.Linear(sizes[-2], sizes[-1], bias=not normed_end))
    if normed_end:
        layers.append(nn.BatchNorm1d(sizes[-1], affine=False))
    return nn.Sequential(*layers)


def over_pairs(
    one: Callable[[Tensor, Tensor], Tensor], seen: Sequence[Tensor], targets: Sequence[Tensor]
) -> Tensor:
    """Mean of ``one(seen[i], targets[j])`` over ordered pairs of views i ≠ j."""
    pairs = permutations(range(len(seen)), 2)
    return torch.stack([one(seen[i], targets[j]) for i, j in pairs]).mean()


def cosine(z: Tensor, others: Tensor) -> Tensor:
    """Mean cosine of rows with the same rows of others."""
    return (unit(z) * unit(others)).sum(1).mean()


def unit(z: Tensor) -> Tensor:
    """Rows of length 1."""
    return nn.functional.normalize(z, dim=1)


def off_diagonal(square: Tensor) -> Tensor:
    """All entries of a square matrix but those on its diagonal."""
    return square[~torch.eye(len(square), dtype=torch.bool, device=square.device)]
