"""The images and labels of a benchmark as arrays, for a peer that runs elsewhere.

    python benchmarks/peers/export.py cifar10 --examples 10000 --out DIR

DIR/images.npz holds `train`, `bank` and `test` as stepwell reads them (three channels),
DIR/labels.npz the labels of `bank` and `test`, which only the scoring reads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from images import prepare

from stepwell.sources import open_source


def arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, h, w, 3) images and (n,) labels of a source."""
    source = open_source(path)
    known, images, labels = source.labels(), [], []
    for batch in source.batches(256):
        images.append(batch.data["image"])
        labels += [known[str(i)] for i in batch.ids]
    pixels = np.concatenate(images)
    return np.repeat(pixels, 3 // pixels.shape[-1], axis=-1), np.array(labels)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--examples", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        train, test = prepare(options.data, Path(scratch), options.examples)
        bank, known = arrays(train)
        asked, truth = arrays(test)
    np.savez(options.out / "images.npz", train=bank, bank=bank, test=asked)
    np.savez(options.out / "labels.npz", bank=known, test=truth)


if __name__ == "__main__":
    main()
