"""Rows of `accelerator.py` as the tables of `results/accelerator.md`."""

from __future__ import annotations

import numpy as np
from scipy.stats import t
from tables import grouped, ratios, table

HEAD = """# Pretexts and objectives of networks, on two cores and on an accelerator

Written by `benchmarks/accelerator.py` on {date}, {versions}. CIFAR-10; test images are drawn by
hash from its training set; kNN: cosine, k = 20, T = 0.1. On the accelerator ResNet-18 with the stem
for small images, in bf16.

What stands apart: the H200 was lent for a quarter of an hour. Its two curves ran side by side and
end where the loan ended; most pretexts have one seed there, and its control of `neighbours: place`
still told the second part with its place. Its speed is of before a thread that made views ahead
was replaced.
"""


def _speed(rows: list[dict]) -> str:
    lines = []
    for (device, batch), some in grouped(rows, "device", "batch").items():
        lines.append([device, str(batch), *ratios(some, "ours", "bare")])
    return table(["device", "batch", "ours", "bare", "ratio", "middle half"], lines)


def _curves(rows: list[dict]) -> str:
    lines = []
    for (device, objective), some in grouped(rows, "device", "objective").items():
        for row in some:
            epochs, minutes = f"{row['samples'] / 40_000:.1f}", f"{row['seconds'] / 60:.1f}"
            seen = f"{row['samples']:,}"
            lines.append([device, objective, seen, epochs, minutes, f"{row['knn']:.1f}"])
    return table(["device", "objective", "samples", "epochs", "minutes", "kNN"], lines)


def _objectives(rows: list[dict]) -> str:
    lines = []
    for row in rows:
        seen = f"{row['samples']:,}" if row["samples"] else "–"
        spent = f"{row['cpu_s']:.0f}" if row["samples"] else "–"
        scores = [f"{row[reader]:.1f}" for reader in ("knn", "probe")]
        lines.append([row["name"], row["task"] or "–", seen, spent, *scores])
    return table(["objective", "pretext", "samples", "CPU s", "kNN", "probe"], lines)


def _pretexts(rows: list[dict]) -> str:
    lines = []
    for keys, some in grouped(rows, "device", "backbone", "samples", "task", "objective").items():
        device, backbone, samples, task, objective = keys
        means = [
            f"{np.mean([row[what] for row in some]):.1f}"
            for what in ("trained", "shuffled", "random")
        ]
        apart = [
            _interval([row["trained"] - row[what] for row in some])
            for what in ("shuffled", "random")
        ]
        worth = "yes" if all(low > 0 for _, low in apart) else "no"
        where, texts = f"{device}, {backbone}, {samples:,}", [text for text, _ in apart]
        judged = worth if len(some) > 2 else "–"
        lines.append([where, task, objective, str(len(some)), *means, *texts, judged])
    head = ["trained on, backbone, samples", "pretext", "objective", "seeds", "trained", "shuffled"]
    return table([*head, "random", "above shuffled", "above random", "worth it"], lines)


def _interval(differences: list[float]) -> tuple[str, float]:
    """Mean and 95 % interval by Student's t, paired over seeds; and its lower end."""
    mean, n = float(np.mean(differences)), len(differences)
    if n < 2:
        return f"{mean:+.1f}", mean
    half = float(t.ppf(0.975, n - 1) * np.std(differences, ddof=1) / n**0.5)
    return f"{mean:+.1f} ± {half:.1f}", mean - half


PARTS = {
    "speed": (
        "Speed beside a bare loop",
        "Samples a second, in turns; the bare loop makes the same views on the same device, but "
        "not ahead of the step that needs them.",
        _speed,
    ),
    "curves": (
        "kNN over samples and minutes",
        "40,000 images, default plan; the clock stands while scores are taken. Published after "
        "far more epochs: Barlow Twins 92.1 linear after 1,000 (solo-learn), kNN 82 to 87 after "
        "200 (lightly), each with 50,000 images and other tests.",
        _curves,
    ),
    "pretexts": (
        "Pretexts beside their controls",
        "kNN on features. Of 10,000 images on the H200, 5,000 on one CPU core, and half as many "
        "to test on; the same number of samples for each; from the same random weights, trained "
        "once on the pretext and once on shuffled pairs. Intervals of 95 %, paired over seeds "
        "(Student's t). Worth it: both lie above 0, of three seeds. Other data may tell otherwise.",
        _pretexts,
    ),
    "objectives": (
        "Objectives, for the same CPU time",
        "10,000 images, 5,000 to test on, a convnet of four layers (`convnet:small`) on one CPU "
        "core, kNN and probe on features, one seed. The spectral engine, on as many images: 69.4 "
        "and 68.4 in 44 CPU seconds (benchmarks/results/images.md; other test images).",
        _objectives,
    ),
}
