"""Backbone and heads as one module, and the teacher that follows it slowly."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """(n, c, h, w) → what the student says, and its projection.

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

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        projected = self.objective.projector(self.backbone(x))
        return self.objective.predictor(projected), projected


class Teacher:
    """A copy of backbone and projector that moves a little towards them at each step.

    A. Tarvainen & H. Valpola, NeurIPS 2017 (arXiv 1703.01780).
    """

    def __init__(self, network: Network) -> None:
        # As in BYOL, the teacher normalises by its batch, whatever mode the network is in.
        self.backbone = deepcopy(network.backbone).requires_grad_(False).train()
        self.projector = deepcopy(network.objective.projector).requires_grad_(False).train()

    def __call__(self, x: Tensor) -> Tensor:
        """(n, d) projections, without a gradient."""
        with torch.no_grad():
            out: Tensor = self.projector(self.backbone(x))
        return out

    @torch.no_grad()
    def follow(self, network: Network, momentum: float) -> None:
        """Keep ``momentum`` of itself. What is no weight (running means) is taken over."""
        for mine, theirs in self._sides(network):
            weights = list(zip(mine.parameters(), theirs.parameters(), strict=True))
            torch._foreach_lerp_(
                [own for own, _ in weights], [new.detach() for _, new in weights], 1 - momentum
            )
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


def grouped(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameters in two groups: matrices and filters decay, vectors do not."""
    some = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in some if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in some if p.ndim <= 1], "weight_decay": 0.0},
    ]
