"""The gradient engine: speed beside a bare loop, objectives and pretexts, planted faults.

    python benchmarks/gradient.py speed objectives faults > build/gradient.jsonl
    python benchmarks/gradient.py --table build/gradient.jsonl > benchmarks/results/gradient.md

Needs torch. CIFAR-10, drawn by hash. Labels are read for scores only. One JSON line each.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gradient_tables import HEAD
from gradient_tables import PARTS as TABLES
from images import DATA, subset, unzip_split
from sklearn.datasets import load_digits
from tables import emit, run_parts

from stepwell import learn
from stepwell.encoders import NetworkEncoder
from stepwell.engines.gradient.launch import launched
from stepwell.engines.gradient.loop import Trainer
from stepwell.engines.gradient.pixels import Decoded
from stepwell.engines.gradient.plan import FEW, PRECISIONS, planned
from stepwell.engines.gradient.regulate import Regulator
from stepwell.evaluate.probe import knn
from stepwell.interfaces import Batch, Seen
from stepwell.kit.hashing import digest_rows, drawn
from stepwell.objectives import OBJECTIVES
from stepwell.pretexts import TwoViews
from stepwell.showing import shown_of
from stepwell.sources import open_source
from stepwell.views import parse, render

CIFAR = DATA / "cifar10-train.zip"
RECIPE = ("flip", "zoom-strong", "jitter")
PAIRS, STEPS = 15, 10
"""Interleaved pairs of timings, and steps in each."""


@contextmanager
def decoded(count: int, first: int = 0) -> Iterator[Decoded]:
    """So many images of CIFAR-10, drawn by hash, after the first few drawn."""
    source = open_source(CIFAR)
    ids = [name for name, _ in source.entries()]
    chosen = {ids[i] for i in drawn(0, ids, first + count)[first:]}
    with tempfile.TemporaryDirectory() as folder:
        yield Decoded(Path(folder), source.batches(256, ids=chosen))


# speed


def speed(backbone: str = "resnet18", batch: int = 128) -> None:
    """Samples a second, ours and of a bare loop with the same views, in turns."""
    with decoded(4096) as data:
        for row in in_turns(data, backbone, batch, "cpu", PRECISIONS[0]):
            emit(part="speed", backbone=backbone, batch=batch, **row)


def in_turns(
    data: Decoded, backbone: str, batch: int, device: str, precision: str, steps: int = STEPS
) -> Iterator[dict[str, float]]:
    """Rates of both loops, one row a turn of so many steps."""
    made = {name: _runner(name, data, backbone, batch, device, precision) for name in LOOPS}
    for run in made.values():
        run(24)  # the first 20 steps are all looked at, later ones one in twenty
    for turn in range(PAIRS):
        order = list(made) if turn % 2 else list(made)[::-1]
        yield {"turn": turn} | {name: steps * batch / made[name](steps) for name in order}


LOOPS = ("ours", "bare")


def _runner(
    name: str, data: Decoded, backbone: str, batch: int, device: str, precision: str
) -> Callable[[int], float]:
    """A function from a number of steps to the seconds they take."""
    encoder = NetworkEncoder(backbone, device=device).fit(data.take(np.arange(256)))
    torch.manual_seed(0)
    objective = OBJECTIVES["barlow_twins"](encoder.width)
    plan = planned(len(data), 10**6, batch=batch, precision=precision)
    pretext = TwoViews(RECIPE)

    def shows(number: int) -> Seen:
        rows, epoch = data.rows_of(number, batch, 0)
        some = data.take(rows)
        if device != "cpu":
            some = some.with_data(image=encoder.placed(some.data["image"]))
        return shown_of(pretext, some, 0, epoch)

    if name == "bare":
        return _bare(encoder, objective, shows, plan, device)
    fabric = launched(device, precision)
    trainer = Trainer(fabric, encoder.module, objective, shows, encoder.prepared, plan)
    regulator = Regulator(trainer, lambda *_: None)

    def run(steps: int) -> float:
        begin = time.perf_counter()
        regulator.before()
        for _ in trainer.steps(until=trainer.step + steps):
            regulator.after()
            regulator.before()
        return time.perf_counter() - begin

    return run


def _bare(
    encoder: Any, objective: Any, shows: Callable[[int], Seen], plan: Any, device: str
) -> Callable[[int], float]:
    """What anybody would write."""
    net = torch.nn.Sequential(encoder.module, objective.projector).to(device).train()
    options = {"lr": plan.rate, "weight_decay": plan.decay, "fused": True}
    optimizer = torch.optim.AdamW(net.parameters(), **options)
    mixed, done = plan.precision != PRECISIONS[0], 0

    def run(steps: int) -> float:
        nonlocal done
        begin = time.perf_counter()
        for _ in range(steps):
            x, partners = (encoder.prepared(each) for each in shows(done).views)
            with torch.autocast(device, torch.bfloat16, enabled=mixed):
                projected = net(torch.cat([x, partners]))
            z, others = projected.float().chunk(2)
            loss = objective.pair(z, others)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
            optimizer.step()
            loss.item()
            done += 1
        return time.perf_counter() - begin

    return run


# what objectives are worth


def objectives(seconds: float = 110, count: int = 10_000) -> None:
    """Each objective for the same wall time on the same images, beside the controls and the
    spectral engine; a control on shuffled pairs for two of them."""
    with cifar_split(count) as (train, test):
        for name in (name for name, kind in OBJECTIVES.items() if kind.takes == "views"):
            told = {"objective": name, "shuffled": name in SHUFFLED, "device": "cpu"}
            more = {"engine": "gradient", "backbone": "resnet18", "train": told}
            budget = seconds * (1.85 if told["shuffled"] else 1)
            _scored(name, train, test, budget=budget, **more)
        _scored("spectral", train, test)


SHUFFLED = ("barlow_twins", "simclr")


@contextmanager
def cifar_split(count: int) -> Iterator[tuple[Path, Path]]:
    """Folders of training and test images, as benchmarks/images.py splits them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unzip_split(CIFAR, folder, 10, 5, 0)
        subset(folder / "train", count)
        yield folder / "train", folder / "test"


def _scored(name: str, images: Path, test: Path, **options: Any) -> None:
    """One row a contestant: kNN and probe with all labels."""
    with tempfile.TemporaryDirectory() as folder:
        cpu = time.process_time()
        run = learn(
            images,
            Path(folder) / "run",
            preset="fast",
            views=" ".join(RECIPE),
            report=False,
            **options,
        )
        cpu = time.process_time() - cpu
        scores = run.evaluate(images, test)["labelled"]
        facts = {"cpu_s": cpu, "samples": run.config.get("train", {}).get("samples")}
        for row in scores:
            if row["labels"] == "all":
                emit(
                    part="objectives",
                    run=name,
                    contestant=row["name"],
                    reader=row["reader"],
                    value=row["value"],
                    low=row["low"],
                    high=row["high"],
                    **facts,
                )


# planted faults

FAULTS: dict[str, dict[str, Any]] = {
    "healthy": {},
    "rate x 100": {"rate": 100},
    "variance weight 0": {"variance": 0.0},
    "NaN": {"nan": 40},
    "frozen": {"rate": 1e-12},
    "batch of 4": {"batch": 4},
}
SMALL_STEPS, SMALL_BATCH = 300, 64


def faults(seeds: int = 10) -> None:
    """VICReg on digits with a small convnet: what is seen, and where training ends."""
    data = load_digits()
    images = (data.images[:, :, :, None] * 15).astype(np.uint8)
    for what in FAULTS:
        for seed in range(20 if what == "healthy" else seeds):
            emit(part="faults", fault=what, seed=seed, **_faulty(images, data.target, what, seed))


def _faulty(images: Any, labels: Any, what: str, seed: int) -> dict[str, Any]:
    """Train with a fault; alarms, and kNN of one half of the digits by the other."""
    fault, half = FAULTS[what], len(images) // 2
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    batch = fault.get("batch", SMALL_BATCH)
    told: list[str] = []
    if batch < FEW:  # as learning does before it begins
        told, batch = ["batch too small"], SMALL_BATCH
    torch.manual_seed(seed)
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, 1, 1),
        torch.nn.BatchNorm2d(32),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 64, 3, 2, 1),
        torch.nn.BatchNorm2d(64),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )
    objective = OBJECTIVES["vicreg"](256, sizes=(256, 64))
    if "variance" in fault:
        objective.variance = fault["variance"]
    views = parse("translation:0.15 rotation:15 noise:0.1")
    ids = np.array([str(i) for i in range(len(images))])
    whole_batch = Batch(ids, {"image": images}, ids, digest_rows([i.tobytes() for i in images]))

    def shows(number: int) -> Seen:
        rows = np.random.default_rng((seed, number)).permutation(half)[:batch]
        picked = whole_batch.take(rows)
        both = [render(picked, views, seed, 2 * number + side).data["image"] for side in (0, 1)]
        return Seen([each * np.nan for each in both] if number == fault.get("nan") else both)

    def prepare(pixels: Any) -> torch.Tensor:
        return torch.as_tensor(pixels, dtype=torch.float32).permute(0, 3, 1, 2) / 128 - 1

    plan = planned(half, SMALL_STEPS * batch, batch=batch, seed=seed)
    plan = replace(plan, rate=plan.rate * fault.get("rate", 1))
    trainer = Trainer(launched("cpu", "32-true"), backbone, objective, shows, prepare, plan)
    regulator = Regulator(trainer, lambda _, facts: told.append(facts["kind"]))
    regulator.before()
    for _ in trainer.steps():
        if not regulator.after():
            break
        regulator.before()
    with torch.inference_mode():
        z = backbone.eval()(prepare(images)).numpy()
    z -= z[:half].mean(0)
    z /= np.linalg.norm(z, axis=1, keepdims=True) + 1e-12
    score = (knn(z[:half], labels[:half], z[half:]) == labels[half:]).mean() * 100
    return {"alarms": told, "knn": float(score)}


PARTS = {"speed": speed, "objectives": objectives, "faults": faults}


if __name__ == "__main__":
    run_parts(__doc__, PARTS, HEAD, TABLES)
