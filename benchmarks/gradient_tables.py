"""Rows of `gradient.py` as the tables of `results/gradient.md`."""

from __future__ import annotations

import numpy as np
from tables import grouped, ratios, table

HEAD = """# The gradient engine: speed, objectives and faults as measured

Written by `make bench-gradient` (`benchmarks/gradient.py`) on {date}, {machine}, Python {python},
{versions}.
"""
SEEN = {
    "rate x 100": ("too fast", "not finite"),
    "variance weight 0": ("collapse", "collapse along one direction"),
    "NaN": ("not finite",),
    "frozen": ("frozen",),
    "batch of 4": ("batch too small",),
}
"""Alarms that name a planted fault."""
NEAR = 2.0
"""Points of kNN within the healthy run of the same seed."""


def _speed(rows: list[dict]) -> str:
    lines = []
    for (backbone, batch), some in grouped(rows, "backbone", "batch").items():
        lines.append([backbone, str(batch), *ratios(some, "ours", "bare")])
    return table(["backbone", "batch", "ours", "bare", "ratio", "middle half"], lines)


def _lightly(rows: list[dict]) -> str:
    pairs = {
        "training, of the bare loop: ours": ("ours", "bare"),
        "training, of the bare loop: lightly": ("lightly", "bare"),
        "training: ours to lightly": ("ours", "lightly"),
        "views alone: ours to lightly with two workers": ("views ours", "views lightly"),
    }
    lines = [[what, *ratios(rows, one, other, digits=2)] for what, (one, other) in pairs.items()]
    return table(["", "samples/s", "beside", "ratio", "middle half"], lines)


def _objectives(rows: list[dict]) -> str:
    lines = []
    for (run,), some in grouped(rows, "run").items():
        known = {(row["contestant"], row["reader"]): row["value"] for row in some}
        names = ("stepwell", "features alone", "shuffled pairs", "random encoder")
        cells = [
            f"{known[name, reader]:.1f}" if (name, reader) in known else "–"
            for reader in ("knn", "probe")
            for name in names
        ]
        samples = some[0]["samples"]
        seen = f"{samples:,}" if samples else "10,000"
        lines.append([run, seen, f"{some[0]['cpu_s']:.0f}", *cells])
    head = ["learned by", "samples", "CPU s", "kNN", "features alone", "shuffled", "random"]
    return table([*head, "probe", "features alone", "shuffled", "random"], lines)


def _faults(rows: list[dict]) -> str:
    healthy = {row["seed"]: row["knn"] for row in rows if row["fault"] == "healthy"}
    lines = []
    for (fault,), some in grouped(rows, "fault").items():
        seen = [bool(set(row["alarms"]) & set(SEEN.get(fault, row["alarms"]))) for row in some]
        near = [row["knn"] > healthy[row["seed"]] - NEAR for row in some]
        score = f"{np.median([row['knn'] for row in some]):.1f}"
        said = f"{sum(seen)} of {len(some)}"
        ends = f"{sum(near)} of {len(some)}" if fault in SEEN else "–"
        lines.append([fault, said, ends, score])
    return table(["planted", "runs with an alarm", "end within 2 points", "median kNN"], lines)


PARTS = {
    "speed": (
        "Speed beside a bare loop",
        "Samples a second on two CPU cores, in turns; the bare loop has the same views, backbone, "
        "heads, loss and optimizer, and nothing else.",
        _speed,
    ),
    "lightly": (
        "Speed beside lightly",
        "CIFAR-10 as JPEG files, ResNet-18, batches of 128, in turns, on two CPU cores "
        "(`benchmarks/peers/lightly_speed.py`). Each with its own data pipeline: lightly decodes "
        "files in every epoch, stepwell once.",
        _lightly,
    ),
    "objectives": (
        "Objectives, for the same time",
        "CIFAR-10, 10,000 images, ResNet-18 without its small stem, the same wall time on two "
        "cores; all labels. The first kNN and probe are of the closed form on the trained "
        "features. Raw pixels and their PCA are in benchmarks/results/images.md. `spectral`: "
        "preset fast with the same views.",
        _objectives,
    ),
    "faults": (
        "Planted faults",
        "VICReg with a small convnet on one half of the digits for 300 steps, kNN of the other "
        "half. An alarm counts if it names the fault. For batches of 4 the batch is raised before "
        "training.",
        _faults,
    ),
}
