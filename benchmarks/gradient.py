"""The gradient engine: speed beside a bare loop, objectives and pretexts, planted faults.

    python benchmarks/gradient.py speed objectives faults frozen > build/gradient.jsonl
    python benchmarks/gradient.py --table build/gradient.jsonl > benchmarks/results/gradient.md

Needs torch. CIFAR-10, drawn by hash. Labels are read for scores only. One JSON line each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from images import DATA

from stepwell.encoders import NetworkEncoder
from stepwell.engines.gradient.loop import Trainer
from stepwell.engines.gradient.pixels import Decoded
from stepwell.engines.gradient.plan import planned
from stepwell.engines.gradient.regulate import Regulator
from stepwell.interfaces import Batch
from stepwell.kit.hashing import drawn
from stepwell.objectives import OBJECTIVES
from stepwell.pretexts import TwoViews
from stepwell.sources import open_source
from stepwell.training import launched, views_of

CIFAR = DATA / "cifar10-train.zip"
RECIPE = ("flip", "zoom-strong", "jitter")
PAIRS, STEPS = 15, 10
"""Interleaved pairs of timings, and steps in each."""


def emit(**row: Any) -> None:
    print(json.dumps(row, default=float), flush=True)


@contextmanager
def decoded(count: int, first: int = 0) -> Iterator[Decoded]:
    """So many images of CIFAR-10, drawn by hash, after the first few drawn."""
    source = open_source(CIFAR)
    ids = [name for name, _ in source.entries()]
    chosen = {ids[i] for i in drawn(0, ids, first + count)[first:]}
    with tempfile.TemporaryDirectory() as folder:
        yield Decoded(Path(folder), source.batches(256, ids=chosen))


def whole(data: Decoded) -> Batch:
    return data.take(np.arange(len(data)))


# speed


def speed(backbone: str = "resnet18", batch: int = 128) -> None:
    """Samples a second, ours and of a bare loop with the same views, in turns."""
    with decoded(4096) as data:
        made = {name: _runner(name, data, backbone, batch) for name in ("ours", "bare")}
        for run in made.values():
            run(24)  # the first 20 steps are all looked at, later ones one in twenty
        for turn in range(PAIRS):
            order = list(made) if turn % 2 else list(made)[::-1]
            rates = {name: STEPS * batch / made[name](STEPS) for name in order}
            emit(part="speed", backbone=backbone, batch=batch, turn=turn, **rates)


def _runner(name: str, data: Decoded, backbone: str, batch: int) -> Any:
    """A function from a number of steps to the seconds they take."""
    encoder = NetworkEncoder(backbone, device="cpu").fit(data.take(np.arange(256)))
    torch.manual_seed(0)
    objective = OBJECTIVES["barlow_twins"](encoder.width)
    plan, pretext = planned(len(data), 10**6, batch=batch), TwoViews(RECIPE)

    def views(number: int) -> Any:
        rows, epoch = data.rows_of(number, batch, 0)
        return views_of(pretext, data.take(rows), 0, epoch)

    if name == "bare":
        return _bare(encoder, objective, views, plan)
    trainer = Trainer(
        launched("cpu", "32-true"), encoder.module, objective, views, encoder.prepared, plan
    )
    regulator = Regulator(trainer, lambda *_: None)

    def run(steps: int) -> float:
        begin = time.perf_counter()
        regulator.before()
        for _ in trainer.steps(until=trainer.step + steps):
            regulator.after()
            regulator.before()
        return time.perf_counter() - begin

    return run


def _bare(encoder: Any, objective: Any, views: Any, plan: Any) -> Any:
    """What anybody would write."""
    net = torch.nn.Sequential(encoder.module, objective.projector).train()
    optimizer = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=plan.decay)
    done = 0

    def run(steps: int) -> float:
        nonlocal done
        begin = time.perf_counter()
        for _ in range(steps):
            x, partners = (encoder.prepared(each) for each in views(done))
            z, others = net(torch.cat([x, partners])).chunk(2)
            loss = objective.pair(z, others)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
            optimizer.step()
            loss.item()
            done += 1
        return time.perf_counter() - begin

    return run


PARTS = {"speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    options = parser.parse_args()
    for part in options.parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
