"""Training with weights, gradients and the optimizer's state shared among ranks.

Fully sharded data parallelism: Y. Zhao et al., VLDB 2023 (arXiv 2304.11277); as FSDP2 of torch,
which works on CUDA and, on gloo, on CPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ReduceOp, all_reduce
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from stepwell.engines.gradient.loop import Trainer, optimizer_of
from stepwell.engines.gradient.network import whole
from stepwell.interfaces import UsageError

FOLLOWING = (nn.Sequential, nn.ModuleList)
"""Modules whose parts follow one another."""
LARGEST = 0.25
"""Share of the weights that a block should have at most."""


class ShardedTrainer(Trainer):
    """A trainer of which every rank holds a share of the backbone.

    Heads, and the copy that a teacher is, are whole everywhere. The backbone that was given stays
    whole too and is brought up to date by :meth:`publish`. What is shared, weights in training,
    their gradients and what the optimizer remembers, is asked for by all ranks at the same time,
    or none gets it.
    """

    def _set_up(self) -> tuple[Any, Any]:
        # Copied in the memory of the host: a device would have to hold two for a moment.
        self.network.backbone, given = deepcopy(self.network.backbone.cpu()), self.network.backbone
        self._given = given.to(self.fabric.device)
        self.network.objective.to(self.fabric.device)
        sharded(self.network.backbone, self.fabric)
        return self._called, optimizer_of(self.network, self.plan)

    def _called(self, views: Any) -> Any:
        with self.fabric.autocast():
            return self.network(views)

    def _unsynced(self, wanted: bool) -> Any:
        return nullcontext()  # each part's gradients are shared at once: nobody has room for all

    def _gradients(self, batches: Any) -> Tensor:
        loss = super()._gradients(batches)
        for each in self.network.objective.parameters():
            if each.grad is not None:
                all_reduce(each.grad)
                each.grad /= self.fabric.world_size
        return loss

    def _clipped(self, most: float) -> Tensor:
        every = [p for p in self.network.parameters() if p.grad is not None]
        shared = [p for p in every if isinstance(p, DTensor)]
        kinds = [shared, [p for p in every if not isinstance(p, DTensor)]]
        norms = [whole(get_total_norm([p.grad for p in kind])) for kind in kinds if kind]
        norm = torch.stack(norms).norm()
        for kind in kinds:
            clip_grads_with_norm_(kind, most, norm)
        return norm

    def _layers(self) -> list[Tensor]:
        return [whole(p) for p in super()._layers()]

    @torch.no_grad()
    def publish(self) -> None:
        """Bring the backbone that was given up to date."""
        for part in ("parameters", "buffers"):
            sides = (getattr(side, part)() for side in (self._given, self.network.backbone))
            for given, trained in zip(*sides, strict=True):
                given.copy_(whole(trained))

    def anywhere(self, *flags: bool) -> list[bool]:
        """What is asked for on any rank."""
        found = torch.tensor([float(flag) for flag in flags], device=self.fabric.device)
        all_reduce(found, ReduceOp.MAX)
        return [flag > 0 for flag in found.tolist()]

    def weights(self) -> dict[str, Any]:
        """Whole, and in the memory of the host."""
        return _each(super().weights(), lambda x: whole(x).cpu().clone())

    def set_weights(self, weights: dict[str, Any]) -> None:
        """Go back to weights, and forget what the optimizer remembers."""
        own, told = self.network.state_dict(), weights["network"]
        shares = {name: _like(value, own[name]) for name, value in told.items()}
        super().set_weights(weights | {"network": shares})

    def state(self) -> dict[str, Any]:
        """All that a step depends on, whole, in the memory of the host, a tensor after the other:
        any number of ranks could go on."""
        return _each(super().state(), lambda x: whole(x).cpu())

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        every = [p for group in self.optimizer.param_groups for p in group["params"]]
        told = state["optimizer"]
        known = {
            number: {name: _like(value, every[int(number)]) for name, value in facts.items()}
            for number, facts in told["state"].items()
        }
        super().restore(state | {"optimizer": told | {"state": known}})


def sharded(backbone: nn.Module, fabric: Any) -> nn.Module:
    """A backbone whose blocks, and what is between them, are shared by all ranks.

    Raises
    ------
    UsageError
        If a weight is a single number, which can't be shared.
    """
    if single := [name for name, p in backbone.named_parameters() if not p.ndim]:
        raise UsageError(
            f"Expected weights that can be shared, found a single number: {single[0]}. Leave "
            f"--shard out, or take another backbone."
        )
    mesh = init_device_mesh(fabric.device.type, (fabric.world_size,))
    for block in _blocks(backbone, LARGEST * _size(backbone)):
        fully_shard(block, mesh=mesh)
    fully_shard(backbone, mesh=mesh)
    if hasattr(backbone, "everything"):
        register_fsdp_forward_method(backbone, "everything")
    return backbone


def _blocks(module: nn.Module, most: float) -> Iterator[nn.Module]:
    """Parts that follow one another: what is gathered at a time, of ``most`` weights where larger
    ones have parts of their own."""
    for child in module.children():
        inner = any(isinstance(part, FOLLOWING) for part in child.modules())
        mere = isinstance(child, nn.ModuleList)  # nobody calls it, so nothing would gather it
        if not isinstance(module, FOLLOWING) or mere or (inner and _size(child) > most):
            yield from _blocks(child, most)
        elif _size(child):
            yield child


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _like(value: Any, own: Any) -> Any:
    """The share of a whole tensor that a rank holds of one of the same size."""
    if not isinstance(own, DTensor) or not isinstance(value, Tensor) or value.shape != own.shape:
        return value
    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)


def _each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Every tensor of a nested state, changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each(part, change) for name, part in value.items()}
    return [_each(part, change) for part in value] if isinstance(value, (list, tuple)) else value
