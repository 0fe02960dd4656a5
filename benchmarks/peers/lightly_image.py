"""SimCLR, VICReg or Barlow Twins by lightly, trained for a given number of CPU seconds.

Runs in an environment of its own (lightly is no dependency of stepwell):

    python -m venv ENV && ENV/bin/pip install lightly
    ENV/bin/python benchmarks/peers/lightly_image.py --method simclr --data FILE.npz \
        --cpu-seconds 120 --seed 0 --stem imagenet --out DIR

FILE.npz holds `train`, `bank` and `test`, uint8 arrays (n, height, width, 3); no labels are read.
Transforms, heads, losses and optimisers are lightly's, set as in its own CIFAR-10 and Imagenette
benchmarks. Only training is charged to the budget: imports, reading the file, building the net
and embedding are free. For every budget, DIR/METHOD_sSEED_CPU.npz gets `bank` and `test`
(backbone features, before the head) and the .json beside it what it took.
"""

import argparse
import json
import math
import os
import random
import resource
import sys
import time
from pathlib import Path

# Threads that wait by spinning would burn the very seconds that are counted.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightly
import numpy as np
import torch
import torchvision
from lightly_recipes import (
    Views,
    build_backbone,
    build_method,
    build_optimizer,
    embed,
    endless,
    set_rate,
)

RECORDED = ("method", "seed", "stem", "input_size", "batch", "threads")


class Run:
    """One training run: the net, its optimiser and what it has spent so far."""

    def __init__(self, args, train):
        transform, self.head, self.criterion = build_method(args.method, args.input_size)
        self.backbone = build_backbone(args.stem)
        parameters = [*self.backbone.parameters(), *self.head.parameters()]
        self.optimizer, self.warmup = build_optimizer(args, parameters)
        loader = torch.utils.data.DataLoader(
            Views(train, transform), batch_size=args.batch, shuffle=True, drop_last=True
        )
        self.batches, self.budget = endless(loader), max(args.cpu_seconds)
        self.samples, self.cpu, self.wall, self.losses = 0, 0.0, 0.0, []

    def step(self):
        """One batch; process_time counts every thread, and there are no worker processes."""
        cpu, wall = time.process_time(), time.perf_counter()
        set_rate(self.optimizer, self.cpu / self.budget, self.warmup)
        views = torch.cat(next(self.batches)).contiguous(memory_format=torch.channels_last)
        z0, z1 = self.head(self.backbone(views)).chunk(2)
        loss = self.criterion(z0, z1)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())
        if not math.isfinite(self.losses[-1]):
            sys.exit(f"the loss is {self.losses[-1]} after {self.samples} images")
        self.samples += len(z0)
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


def save(run, data, args, target):
    """Write the embeddings and what they took; print one line."""
    # ru_maxrss is in KiB on Linux, in bytes on macOS; read before embedding, which is free.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    parts = {part: embed(run.backbone, data[part], args.input_size) for part in ("bank", "test")}
    stem = args.out / f"{args.method}_s{args.seed}_{target:g}"
    np.savez(f"{stem}.npz", **parts)
    record = {
        **{name: getattr(args, name) for name in RECORDED},
        "optimizer": type(run.optimizer).__name__,
        "lr": run.optimizer.defaults["lr"],
        "budgets": args.cpu_seconds,
        "target_cpu_seconds": target,
        "samples": run.samples,
        "steps": len(run.losses),
        "epochs": round(run.samples / len(data["train"]), 2),
        "cpu_seconds": round(run.cpu, 2),
        "wall_seconds": round(run.wall, 2),
        "embed_cpu_seconds": round(time.process_time() - start, 2),
        "peak_memory_mb": round(peak / 1024 if sys.platform == "darwin" else peak),
        "loss_first": round(float(np.mean(run.losses[:3])), 4) if run.losses else None,
        "loss_last": round(float(np.mean(run.losses[-3:])), 4) if run.losses else None,
        "versions": {m.__name__: m.__version__ for m in (lightly, torch, torchvision, np)},
    }
    Path(f"{stem}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(
        f"{args.method} {args.stem} seed {args.seed}: {run.cpu:.0f} CPU s ({run.wall:.0f} s), "
        f"{run.samples} images ({run.samples / max(run.cpu, 1e-9):.1f}/CPU s), "
        f"loss {record['loss_first']} -> {record['loss_last']}, {record['peak_memory_mb']} MB",
        flush=True,
    )


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--method", choices=["simclr", "vicreg", "barlow_twins"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--cpu-seconds",
        type=lambda text: sorted(float(part) for part in text.split(",")),
        required=True,
        help="budget, or several with commas (the rate decays towards the last); 0: untrained",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stem", choices=["auto", "small", "imagenet"], default="auto")
    parser.add_argument("--input-size", type=int, help="default: the image side, 64 at the most")
    parser.add_argument("--batch", type=int, default=256, help="cut to an eighth of the images")
    parser.add_argument("--optimizer", choices=["sgd", "lars"], help="default: by method")
    parser.add_argument("--lr", type=float, help="default: lightly's, scaled with the batch")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main():
    """Train through the budgets in turn, embedding at each."""
    args = parse_arguments()
    with np.load(args.data) as file:
        data = {part: file[part] for part in ("train", "bank", "test")}
    args.input_size = args.input_size or min(*data["train"].shape[1:3], 64)
    if args.stem == "auto":
        args.stem = "small" if args.input_size <= 64 else "imagenet"
    args.batch = max(2, min(args.batch, len(data["train"]) // 8))
    args.out.mkdir(parents=True, exist_ok=True)
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    run = Run(args, data["train"])
    for target in args.cpu_seconds:
        while run.cpu < target:
            run.step()
        save(run, data, args, target)


if __name__ == "__main__":
    main()
