"""Rows of `accelerator.py` as the tables of `results/accelerator.md`."""

from __future__ import annotations

import numpy as np
from scipy.stats import t
from tables import grouped, table

HEAD = """# Networks where there is an accelerator

Written by `benchmarks/accelerator.py` on {date}. CIFAR-10, ResNet-18 with the stem for small images
(bf16); kNN: cosine, k = 20, T = 0.1, of 10,000 test images drawn by hash from the training set.
"""


def _speed(rows: list[dict]) -> str:
    lines = []
    for (device, batch), some in grouped(rows, "device", "batch").items():
        ratio = np.array([row["ours"] / row["bare"] for row in some])
        rates = [f"{np.median([row[name] for row in some]):,.0f}" for name in ("ours", "bare")]
        spread = f"{np.quantile(ratio, 0.25):.3f} to {np.quantile(ratio, 0.75):.3f}"
        lines.append([device, str(batch), *rates, f"{np.median(ratio):.3f}", spread])
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
    for (task, objective), some in grouped(rows, "task", "objective").items():
        means = [
            f"{np.mean([row[what] for row in some]):.1f}"
            for what in ("trained", "shuffled", "random")
        ]
        apart = [_interval([row["trained"] - row[what] for row in some])
                 for what in ("shuffled", "random")]  # fmt: skip
        seconds = f"{np.mean([row['seconds'] for row in some]) / 2:.1f}"
        lines.append([task, objective, seconds, *means, *(text for text, _ in apart),
                      "yes" if all(low > 0 for _, low in apart) else "no"])  # fmt: skip
    head = ["pretext", "objective", "seconds", "trained", "shuffled", "random"]
    return table([*head, "above shuffled", "above random", "worth it"], lines)


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
        "10,000 images, 5,000 to test on, the same number of samples for each; from the same "
        "random weights, trained once on the pretext and once on shuffled pairs. Three seeds; "
        "intervals of 95 %, paired over seeds. Worth it: both lie above 0.",
        _pretexts,
    ),
}
