"""Score what a peer embedded, on the protocol of `benchmarks/images.py`; a JSON line each.

python benchmarks/peers/score.py --labels DIR/labels.npz OUT/*.npz
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from stepwell.evaluate.intervals import share
from stepwell.evaluate.probe import knn, linear_predict


def main() -> None:
    """kNN (k = 20, T = 0.1) and probe of every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    with np.load(options.labels) as file:
        names, known = np.unique(file["bank"], return_inverse=True)
        truth = np.searchsorted(names, file["test"])
    for path in options.files:
        facts = json.loads(path.with_suffix(".json").read_text())
        with np.load(path) as file:
            bank, asked = _unit(file["bank"]), _unit(file["test"])
        row = {"data": options.data, "examples": len(bank), "peer": facts["method"]}
        row |= {"seed": facts["seed"], "stem": facts["stem"], "samples": facts["samples"]}
        row |= {"learn_cpu_s": facts["cpu_seconds"], "peak_mb": facts["peak_memory_mb"]}
        for reader, predict in (("knn", knn), ("probe", linear_predict)):
            found = share(int((predict(bank, known, asked) == truth).sum()), len(truth))
            row |= {reader: found.value, f"{reader}_interval": [found.low, found.high]}
        print(json.dumps(row), flush=True)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


if __name__ == "__main__":
    main()
