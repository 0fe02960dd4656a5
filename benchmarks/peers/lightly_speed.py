"""Samples a second beside lightly, in turns: training, and making views alone.

    pip install lightly
    python benchmarks/peers/lightly_speed.py >> build/gradient.jsonl

CIFAR-10 as JPEG files, ResNet-18, batches of 128, Barlow Twins. lightly decodes and changes images
in two worker processes and trains with its own loss; heads and optimizer are ours. The bare loop
has our views. One JSON line a turn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from gradient import RECIPE, STEPS, _runner, cifar_split
from tables import emit

from stepwell.encoders import NetworkEncoder
from stepwell.engines.gradient.pixels import Decoded
from stepwell.engines.gradient.plan import PRECISIONS, planned
from stepwell.objectives import OBJECTIVES
from stepwell.pretexts import TwoViews
from stepwell.showing import shown_of
from stepwell.sources import open_source

IMAGES, BATCH, WORKERS, TURNS = 4096, 128, 2, 9


def loader(folder: Path) -> Iterator[Any]:
    """lightly's views of a folder, epoch after epoch."""
    from lightly.data import LightlyDataset
    from lightly.transforms import SimCLRTransform

    transform = SimCLRTransform(input_size=32, min_scale=0.2, gaussian_blur=0.0)
    data = LightlyDataset(str(folder), transform=transform)
    made = torch.utils.data.DataLoader(
        data, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True
    )
    while True:
        yield from made


def training(batches: Iterator[Any], encoder: Any) -> Callable[[int], float]:
    """A function from a number of steps to the seconds that lightly's parts take."""
    from lightly.loss import BarlowTwinsLoss

    torch.manual_seed(0)
    head = OBJECTIVES["barlow_twins"](encoder.width).projector
    net = torch.nn.Sequential(encoder.module, head).train()
    plan, criterion = planned(IMAGES, 10**6, batch=BATCH), BarlowTwinsLoss()
    optimizer = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=plan.decay)

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            views = torch.cat(next(batches)[0]).contiguous(memory_format=torch.channels_last)
            loss = criterion(*net(views).chunk(2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        return time.perf_counter() - begin

    return run


def ours_alone(data: Decoded) -> Callable[[int], float]:
    """The same for our views, without training."""
    done = 0

    def run(steps: int) -> float:
        nonlocal done
        begin = time.perf_counter()
        for _ in range(steps):
            rows, epoch = data.rows_of(done, BATCH, 0)
            shown_of(TwoViews(RECIPE), data.take(rows), 0, epoch)
            done += 1
        return time.perf_counter() - begin

    return run


def alone(batches: Iterator[Any]) -> Callable[[int], float]:
    """The same for lightly's."""

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            next(batches)
        return time.perf_counter() - begin

    return run


def main() -> None:
    """Rows: training first, then views alone, of which more are made a turn."""
    with cifar_split(IMAGES) as (folder, _):
        data = Decoded(folder.parent / "decoded", open_source(folder).batches(256))
        encoder = NetworkEncoder("resnet18", device="cpu").fit(data.take(np.arange(256)))
        batches = loader(folder)
        next(batches)
        made = {name: _runner(name, data, "resnet18", BATCH, "cpu", PRECISIONS[0])
                for name in ("ours", "bare")}  # fmt: skip
        made["lightly"] = training(batches, encoder)
        views = {"views ours": ours_alone(data), "views lightly": alone(batches)}
        for run in made.values():
            run(24)
        for turn in range(TURNS):
            order = list(made)[turn % 3 :] + list(made)[: turn % 3]
            rates = {name: STEPS * BATCH / made[name](STEPS) for name in order}
            time.sleep(3)  # workers fill their queues: what they made beforehand is taken first
            for name in list(views)[:: 1 if turn % 2 else -1]:
                views[name](2 * WORKERS)
                rates[name] = 30 * BATCH / views[name](30)
            emit(part="lightly", turn=turn, **rates)


if __name__ == "__main__":
    main()
