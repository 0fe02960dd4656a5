"""Run by test_engines_ranks.py: trains each objective, alone or as one of several ranks.

python ranks_agree.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from stepwell.engines.gradient.loop import Trainer
from stepwell.engines.gradient.plan import Plan
from stepwell.objectives import OBJECTIVES
from stepwell.training import launched

STEPS, BATCH = 20, 32


def backbone() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 3, 2, 1),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )


def main(out: Path) -> None:
    fabric = launched("cpu", "32-true")
    mine = BATCH // fabric.world_size
    first = fabric.global_rank * mine

    def views(number: int) -> list[np.ndarray]:
        rng = np.random.default_rng(number)
        images = rng.standard_normal((BATCH, 8, 8, 1)).astype(np.float32)
        seen = [images + 0.3 * rng.standard_normal(images.shape) for _ in range(2)]
        return [each[first : first + mine] for each in seen]

    def prepare(images: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(images, dtype=torch.float32).permute(0, 3, 1, 2)

    for name, objective in OBJECTIVES.items():
        torch.manual_seed(0)
        plan = Plan(STEPS, BATCH, "SGD", rate=0.02, decay=1e-4, clip=1.0)
        made = Trainer(fabric, backbone(), objective(24, sizes=(16, 8)), views, prepare, plan)
        list(made.steps())
        if fabric.global_rank == 0:
            save_file(made.network.state_dict(), out / f"{name}.safetensors")
    fabric.barrier()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
