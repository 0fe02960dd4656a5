"""Run by test_engines_ranks.py: trains each objective, alone or as one of several ranks.

python ranks_agree.py OUT [shards]
"""

from __future__ import annotations

import sys
from inspect import signature
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from stepwell.engines.gradient.checkpoint import load, save
from stepwell.engines.gradient.launch import launched
from stepwell.engines.gradient.loop import Trainer
from stepwell.engines.gradient.plan import Plan
from stepwell.engines.gradient.shards import ShardedTrainer
from stepwell.interfaces import Seen
from stepwell.objectives import OBJECTIVES, Task

STEPS, BATCH = 20, 32
WIDTH = 13
"""Features: not even, so that shares of two ranks are not of one size."""
WAYS = [*((name, "SGD") for name in OBJECTIVES), ("simclr", "AdamW")]


class Backbone(torch.nn.Module):
    """A convnet with features of 2 x 2 places."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(1, WIDTH, 3, 2, 1),
            torch.nn.BatchNorm2d(WIDTH),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).mean((2, 3))

    def everything(self, x: torch.Tensor) -> torch.Tensor:
        found = self.net(x).flatten(2).transpose(1, 2)
        return torch.cat([found.mean(1, keepdim=True), found], 1)

    def answering(self, x: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        return self.everything(x)[:, 1:]


TASK = Task({"which": (2, 3)}, views=2, pixels=(1, 8, 8), places=4, tokens=3)


def objective_of(kind: type) -> torch.nn.Module:
    """With small heads where these have a size."""
    if kind.takes == "classes":
        return kind(WIDTH, TASK.classes, TASK.views, hidden=16)
    sized = "sizes" in signature(kind).parameters
    return kind(WIDTH, sizes=(16, 8)) if sized else kind.made(WIDTH, TASK)


def main(out: Path, shards: bool) -> None:
    fabric = launched("cpu", "64-true")
    mine = BATCH // fabric.world_size
    first = fabric.global_rank * mine

    def shows(number: int) -> Seen:
        rng = np.random.default_rng(number)
        images = rng.standard_normal((BATCH, 8, 8, 1)).astype(np.float32)
        seen = [images + 0.3 * rng.standard_normal(images.shape) for _ in range(2)]
        which, hidden = rng.integers(0, 3, (BATCH, 2)), rng.random((2, BATCH, 4, 4)) < 0.5
        tokens, masked = rng.integers(0, 3, (BATCH, 4)), rng.random((BATCH, 4)) < 0.5
        rows = slice(first, first + mine)
        told = {"which": which, "tokens": tokens, "masked": masked}
        masks = [each[rows] for each in hidden] if kind.takes == "hidden" else None
        return Seen(
            [each[rows] for each in seen], {name: each[rows] for name, each in told.items()}, masks
        )

    def prepare(images: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(images, dtype=torch.float64).permute(0, 3, 1, 2)

    file = out / f"{fabric.global_rank}.checkpoint"
    for name, optimizer in WAYS:
        kind = OBJECTIVES[name]
        torch.manual_seed(0)
        plan = Plan(STEPS, BATCH, optimizer, rate=0.02, decay=1e-4, clip=1.0)
        made = (ShardedTrainer if shards else Trainer)(
            fabric, Backbone(), objective_of(kind), shows, prepare, plan
        )
        list(made.steps(until=STEPS // 2))
        save(file, made.state())
        for _ in made.steps():  # to be undone
            break
        made.restore(load(file))
        list(made.steps())
        state = made.state()["network"]
        if fabric.global_rank == 0:
            save_file(state, out / f"{name}-{optimizer}.safetensors")
    fabric.barrier()


if __name__ == "__main__":
    torch.set_num_threads(1)
    # Rounding of single precision alone can grow past the tolerance, by what whitening amplifies.
    torch.set_default_dtype(torch.float64)
    main(Path(sys.argv[1]), shards="shards" in sys.argv)
