"""What an objective is to the gradient engine, and the heads most of them share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

Views = Sequence[Tensor]
"""What is said of V views of the same examples, row by row."""
Told = Mapping[str, Tensor]
"""Pseudo-labels by name."""
NOTHING: Told = MappingProxyType({})
"""What is told where a pretext has no pseudo-labels."""


@dataclass(frozen=True)
class Task:
    """What an objective may have to know of what it is given.

    Attributes
    ----------
    classes : mapping of name to (int, int)
        Of each pseudo-label, how many it tells of an example, and of how many classes.
    views : int
        Views of an example.
    pixels : (int, int, int)
        Channels, height and width that the backbone sees.
    places : int
        That the backbone has features of.
    tokens : int
        Size of the vocabulary, where examples are tokens.
    embedding : nn.Embedding or None
        The backbone's, of these.
    """

    classes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    views: int = 2
    pixels: tuple[int, int, int] = (3, 32, 32)
    places: int = 1
    tokens: int = 1
    embedding: nn.Embedding | None = None


class Objective(nn.Module):
    """A loss over what a network says of n examples, with the heads it needs on the backbone.

    The engine computes ``seen[v] = predict(project(backbone(view v)))`` for every view, and
    ``targets[v] = project(backbone(view v))`` of the full-size ones without a gradient; of a
    slowly following copy of backbone and projector where ``teacher`` is set, which also sees
    what is hidden from the network. Under several ranks both hold the rows of all of them,
    unless examples are judged ``alone``.

    Parameters
    ----------
    width : int
        Features of the backbone.
    """

    name: ClassVar[str]
    takes: ClassVar[str] = "views"
    """What a pretext has to give: ``views`` that are compared, ``classes`` that are told,
    patches that are ``hidden``; of tokens, which are ``masked``, come ``next``, or are
    ``answers``."""
    views: ClassVar[int] = 2
    """Full-size views it wants of an example."""
    teacher: ClassVar[bool] = False
    compares: ClassVar[bool] = True
    """Whether targets are needed at all."""
    reads: ClassVar[str] = "whole"
    """What heads see: (n, width) features of the ``whole``, or with ``places`` (n, 1 + t, width):
    those of the whole, then those of t places; with ``answers`` those of an answer's places."""
    pixels: ClassVar[bool] = False
    """Whether it compares with pixels."""
    alone: ClassVar[bool] = False
    """Whether the loss is a mean over examples, each by itself: nothing is gathered then."""
    collapses: ClassVar[bool] = True
    """Whether features that are all alike could be a solution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projector: nn.Module = nn.Identity()
        self.predictor: nn.Module = nn.Identity()

    @classmethod
    def made(cls, width: int, task: Task) -> Objective:
        """For a backbone and a task."""
        return cls(width)

    @abstractmethod
    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """One number from V views, (n, d) each: the lower the better.

        ``told`` holds pseudo-labels (n, q); of patches, ``hidden`` (n, V, g, g), and ``pixels``
        (n, V, c, h, w), which nothing is hidden of; of text, ``tokens`` (n, t).
        """

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

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """Mean over pairs of views of which one is among the first two: those at full size."""
        pairs = [(i, j) for i, j in combinations(range(len(seen)), 2) if i < 2]
        return torch.stack([self.pair(seen[i], seen[j]) for i, j in pairs]).mean()


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
    pairs = [(i, j) for i in range(len(seen)) for j in range(len(targets)) if i != j]
    return torch.stack([one(seen[i], targets[j]) for i, j in pairs]).mean()


def cosine(z: Tensor, others: Tensor) -> Tensor:
    """Mean cosine of rows with the same rows of others."""
    return (unit(z) * unit(others)).sum(1).mean()


def unit(z: Tensor, axis: int = 1) -> Tensor:
    """Rows of length 1."""
    return nn.functional.normalize(z, dim=axis)


def off_diagonal(square: Tensor) -> Tensor:
    """All entries of a square matrix but those on its diagonal."""
    return square[~torch.eye(len(square), dtype=torch.bool, device=square.device)]
