"""Backbone and heads as one module, and the teacher that follows it slowly."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from stepwell.engines.gradient.batchnorm import single


class Network(nn.Module):
    """Views → what the student says of each, and its projections.

    Parameters
    ----------
    backbone : module
        (n, c, h, w) → (n, width).
    objective : module
        With ``projector`` and ``predictor``.
    """

    def __init__(self, backbone: nn.Module, objective: Any) -> None:
        super().__init__()
        self.backbone, self.objective = backbone, objective

    def forward(self, views: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        if self.objective.reads == "answers":
            told = self.backbone.answering(*views)
            return [told], [told]
        features = [
            read(self.backbone, self.objective, torch.cat(list(same)))
            for _, same in groupby(views, lambda view: view.shape[1:])
        ]
        projected = self.objective.projector(torch.cat(features))
        sizes = [len(view) for view in views]
        seen = self.objective.predictor(projected)
        return list(single(seen).split(sizes)), list(single(projected).split(sizes))


def read(backbone: nn.Module, objective: Any, x: Tensor) -> Tensor:
    """Features of what an objective reads: the whole, or its places too.

    All views of one size go in one pass: batch normalisation sees them together.
    """
    found: Tensor = backbone.everything(x) if objective.reads == "places" else backbone(x)
    return found


def covered(x: Tensor, hidden: Tensor | None) -> Tensor:
    """(n, c, h, w) with nothing, the mean colour, in hidden patches (n, g, g)."""
    if hidden is None:
        return x
    mask = nn.functional.interpolate(hidden[:, None].to(x.dtype), x.shape[-2:], mode="nearest")
    return x * (1 - mask)


class Teacher:
    """A copy of backbone and projector that moves a little towards them at each step.

    A. Tarvainen & H. Valpola, NeurIPS 2017 (arXiv 1703.01780).
    """

    def __init__(self, network: Network) -> None:
        # As in BYOL, the teacher normalises by its batch, whatever mode the network is in.
        self._objective = network.objective
        self.backbone = deepcopy(network.backbone).requires_grad_(False).train()
        self.projector = deepcopy(network.objective.projector).requires_grad_(False).train()

    def __call__(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Projections of views of one size, without a gradient."""
        with torch.no_grad():
            features = read(self.backbone, self._objective, torch.cat(list(views)))
            out: Tensor = self.projector(features)
        return list(single(out).split([len(view) for view in views]))

    @torch.no_grad()
    def follow(self, network: Network, momentum: float) -> None:
        """Keep ``momentum`` of itself. What is no weight (running means) is taken over."""
        for mine, theirs in self._sides(network):
            weights = [whole(p.detach()) for p in theirs.parameters()]
            if weights:
                torch._foreach_lerp_(list(mine.parameters()), weights, 1 - momentum)
            for own, new in zip(mine.buffers(), theirs.buffers(), strict=True):
                own.copy_(new)

    def _sides(self, network: Network) -> Sequence[tuple[nn.Module, nn.Module]]:
        return (
            (self.backbone, network.backbone),
            (self.projector, network.objective.projector),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Named tensors of both parts."""
        return {
            f"{name}.{key}": value
            for name in ("backbone", "projector")
            for key, value in getattr(self, name).state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state_dict`."""
        for name in ("backbone", "projector"):
            part = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(name)}
            getattr(self, name).load_state_dict(part)


def whole(x: Tensor) -> Tensor:
    """All of a tensor that ranks may share (then all of them must ask)."""
    found: Tensor = x.full_tensor() if hasattr(x, "full_tensor") else x
    return found


def grouped(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameters in two groups: matrices and filters decay, vectors do not."""
    some = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in some if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in some if p.ndim <= 1], "weight_decay": 0.0},
    ]
