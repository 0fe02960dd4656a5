"""How long sources take to read, and in how much memory, beside another checkout in the same run.

``python benchmarks/reading.py --data ../shared/data --against OTHER/src [--runs 3]``: 10,000 JPEGs
of CIFAR-10, a text of a million lines, and a Parquet file of 1 GB of images, each read once through
in a process of its own, in turn by this checkout and by the other. Prints a table for
``benchmarks/results/reading.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parents[1] / "src"
READ = """
import json, re, sys, time
from stepwell.sources import open_source
begun, cpu = time.perf_counter(), time.process_time()
count = sum(len(batch) for batch in open_source(sys.argv[1]).batches(256))
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
print(json.dumps([time.perf_counter() - begun, time.process_time() - cpu, peak, count]))
"""


def places(root: Path) -> dict[str, Path]:
    """What is read, by name."""
    names = ("jpegs", "lines.txt", "images.parquet")
    titles = ("10,000 JPEGs", "1,000,000 lines", "Parquet, 1 GB")
    return {title: root / name for title, name in zip(titles, names, strict=True)}


def made(root: Path, data: Path) -> None:
    """Write it."""
    import numpy as np

    jpegs, text, table = places(root).values()
    with zipfile.ZipFile(data / "cifar10-train.zip") as file:
        for name in sorted(file.namelist())[::5][:10_000]:
            file.extract(name, jpegs)
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(5000)])
    with open(text, "w", encoding="utf-8") as out:
        for _ in range(100):
            rows = words[rng.integers(0, 5000, (10_000, 8))]
            out.write("\n".join(map(" ".join, rows.tolist())) + "\n")
    _parquet(table, jpegs)


def _parquet(path: Path, jpegs: Path) -> None:
    """JPEGs of CIFAR-10 again and again, with random bytes behind each as larger images have."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet

    files = sorted(p for p in jpegs.rglob("*") if p.is_file())[:1000]
    some, rng = [file.read_bytes() for file in files], np.random.default_rng(0)
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    with parquet.ParquetWriter(path, schema) as writer:
        while path.stat().st_size < 10**9:
            cells = [each + rng.bytes(60_000) for each in some]
            writer.write_table(pa.table([cells, list(range(len(cells)))], schema=schema))


def measured(source: Path, where: Path) -> list[float]:
    """Seconds, CPU seconds, peak MB and examples, in a process of its own."""
    known = {**os.environ, "PYTHONPATH": str(where)}
    words = [sys.executable, "-c", READ, str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=known)
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    """The table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--against", type=Path, required=True)
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.make is not None:
        made(given.make, given.data)
        return
    sides = {"before": given.against.absolute(), "now": HERE}
    print("| read | | seconds | CPU seconds | peak MB | examples |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        # In another process: what this one has held counts for those that it starts.
        subprocess.run([sys.executable, *sys.argv, "--make", name], check=True)
        for what, source in places(Path(name)).items():
            found: dict[str, list[list[float]]] = {side: [] for side in sides}
            for _ in range(given.runs):
                for side, where in sides.items():
                    found[side].append(measured(source, where))
            for side, rows in found.items():
                middle = [statistics.median(column) for column in zip(*rows, strict=True)]
                cells = f"{middle[0]:.2f} | {middle[1]:.2f} | {middle[2]:.0f} | {middle[3]:,.0f}"
                print(f"| {what} | {side} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
