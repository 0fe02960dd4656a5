"""Batch normalisation over the rows of all ranks, on any backend.

torch's SyncBatchNorm does the same, but refuses CPUs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class RankBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Mean and variance of a batch that is shared among ranks, each with as many rows."""

    drop: Any = None
    act: Any = None
    """What timm's layers do after normalising."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (n, c, …), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        shared = self.training or self.running_mean is None
        out: Tensor = self._over_ranks(input) if shared else super().forward(input)
        for layer in (self.drop, self.act):
            out = out if layer is None else layer(out)
        return out

    def _over_ranks(self, input: Tensor) -> Tensor:
        kind, input = input.dtype, single(input)
        axes = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        ranks = torch.distributed.get_world_size()
        count = input.numel() // input.shape[1] * ranks
        mean = all_reduce(input.mean(axes)) / ranks
        apart = input - mean.view(shape)
        variance = all_reduce(apart.square().mean(axes)) / ranks
        self._follow(mean, variance * count / max(count - 1, 1))
        out = apart * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(kind)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None:
            return
        self.num_batches_tracked += 1
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.detach(), share)
        self.running_var.lerp_(variance.detach(), share)


def single(x: Tensor) -> Tensor:
    """In single precision at least."""
    return x if x.dtype == torch.float64 else x.float()


def over_ranks(module: Any) -> Any:
    """The module with every batch normalisation over all ranks; weights stay the same objects."""
    for name, child in list(module.named_children()):
        plain = isinstance(child, nn.modules.batchnorm._BatchNorm)
        if plain and not isinstance(child, RankBatchNorm):
            setattr(module, name, _shared(child))
        else:
            over_ranks(child)
    return module


def _shared(layer: Any) -> RankBatchNorm:
    options = (layer.num_features, layer.eps, layer.momentum, layer.affine)
    found = RankBatchNorm(*options, layer.track_running_stats)
    for name in ("weight", "bias"):
        setattr(found, name, getattr(layer, name))
    for name in ("drop", "act"):
        if hasattr(layer, name):
            setattr(found, name, getattr(layer, name))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        setattr(found, name, getattr(layer, name))
    return found.train(layer.training)
