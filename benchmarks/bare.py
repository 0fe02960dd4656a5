"""What `learn` costs against the bare matrix products and decoding of the same shapes.

    python benchmarks/bare.py --examples 10000 --preset fast

Learns from CIFAR-10, then does in plain numpy, on random float32 numbers of the same shapes,
what no implementation of the same mathematics could leave out: decode every image; for every image
and partner the products with whitening, dictionary and modes; the sums of the pairs; the products
of the eigenproblem's iterations. Nothing else: no views, normalising, pooling, founders' fit,
choice of views, scores or writing. Products are timed on a part and scaled up. One JSON line.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # as the command line does

import numpy as np
from images import part_and_preset, prepare, spent

import stepwell as sw
from stepwell.kit import linalg
from stepwell.sources import open_source

PART = 200  # images that products are timed on


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds, warmed up."""
    work()
    begin = spent()
    work()
    return spent() - begin


def product(rows: int, inner: int, columns: int) -> float:
    """CPU seconds of one product."""
    rng = np.random.default_rng(0)
    one = rng.standard_normal((rows, inner), dtype=np.float32)
    two = rng.standard_normal((inner, columns), dtype=np.float32)
    return seconds(lambda: one @ two)


def encoding(run: sw.Run) -> float:
    """CPU seconds an image: whitening, both halves of the dictionary, modes."""
    total = 0.0
    for stream in run.encoder.streams:
        rows = PART * stream.spec.grid**2
        atoms, width = stream.atoms.shape
        total += product(rows, width, width) + 2 * product(rows, width // 2, atoms)
        total += product(rows, atoms, stream.rows.shape[1])
    return total / PART


def solving(run: sw.Run) -> float:
    """CPU seconds of the iterations' products, for the map and its two controls."""
    d, k = len(run.map.mu), run.width
    once = product(d, d, k + max(16, k // 8))
    return 3 * linalg._ROUNDS * (linalg._DEGREE + 1) * once


def main() -> None:
    """One row."""
    options = part_and_preset(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        train, _ = prepare("cifar10", Path(scratch), options.examples)
        begin = spent()
        run = sw.learn(train, Path(scratch) / "run", preset=options.preset, report=False)
        learned, begin = spent() - begin, spent()
        read = sum(len(batch) for batch in open_source(train).batches(512))
        decoded = spent() - begin
        pairs = sum(bucket["units"] for bucket in run.part("moments").buckets.values())
        d = len(run.map.mu)
        codes = np.random.default_rng(0).standard_normal((4096, d), dtype=np.float32)
        sums = 3 * pairs / 4096 * seconds(lambda: codes.T @ codes)  # of sums, and of either part
        parts = {
            "decoding": decoded,
            "encoding": encoding(run) * (read + pairs),
            "moments": sums,
            "eigenproblem": solving(run),
        }
    row = {"preset": options.preset, "examples": read, "pairs": pairs, "learn_cpu_s": learned}
    bare = sum(parts.values())
    print(json.dumps(row | {"bare_cpu_s": bare, "ratio": learned / bare} | parts), flush=True)


if __name__ == "__main__":
    main()
