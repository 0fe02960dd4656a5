"""Reading: seconds and peak memory of whole sources, a process each; before and after in turn.

    python benchmarks/reading.py [cifar lines parquet arrow npz] [--against OTHER/src] [--repeats 3]

``cifar`` are 10,000 JPEGs of CIFAR-10, ``lines`` a text of a million lines, ``parquet`` 1 GB of
images in a table, ``arrow`` the same rows as Arrow, ``npz`` 400 MB of packed pixels; the files are
made in a temporary folder. With ``--against`` each is read by both in turn, so that a busy machine
is as busy for one as for the other; what counts is the quickest of the repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve()
DATA = HERE.parents[2] / "shared" / "data"
OWN = HERE.parents[1] / "src"
FILES = 10_000


def cifar(folder: Path) -> Path:
    """The first 10,000 images of the archive, as files."""
    with zipfile.ZipFile(DATA / "cifar10-train.zip") as packed:
        names = sorted(name for name in packed.namelist() if not name.endswith("/"))
        for name in names[:: max(1, len(names) // FILES)][:FILES]:
            target = folder / "images" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed.read(name))
    return folder / "images"


def lines(folder: Path) -> Path:
    """A million lines of a few words."""
    draw = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(5000)])
    with open(folder / "a.txt", "w", encoding="utf-8") as file:
        for _ in range(100):
            rows = words[draw.integers(0, 5000, (10_000, 12))]
            file.writelines(f"{' '.join(row)}\n" for row in rows)
    return folder / "a.txt"


def _table(most: int):
    """Rows of images, 100 kB each, group by group."""
    import pyarrow as pa

    draw = np.random.default_rng(0)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [_picture(draw) for _ in range(50)]
    rows = max(1, most // len(cells[0]))
    for start in range(0, rows, 500):
        group = [
            {"bytes": cells[i % 50], "path": None} for i in range(start, min(start + 500, rows))
        ]
        yield pa.table(
            {"image": pa.array(group, kind), "label": pa.array([0, 1] * (len(group) // 2))}
        )


def _picture(draw: np.random.Generator) -> bytes:
    """A photograph's worth of JPEG: 512 × 512, some noise in it."""
    import io

    from PIL import Image

    held = io.BytesIO()
    coarse = draw.integers(0, 256, (64, 64, 3), np.uint8)
    image = Image.fromarray(coarse).resize((512, 512))
    noise = draw.integers(-12, 12, (512, 512, 3))
    noisy = np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(held, "JPEG", quality=92)
    return held.getvalue()


def parquet(folder: Path) -> Path:
    """1 GB of images in one table."""
    import pyarrow.parquet as parquet

    groups = _table(10**9)
    first = next(groups)
    with parquet.ParquetWriter(folder / "a.parquet", first.schema, compression="none") as writer:
        writer.write_table(first)
        for group in groups:
            writer.write_table(group)
    return folder / "a.parquet"


def arrow(folder: Path) -> Path:
    """The same as Arrow has it in memory."""
    import pyarrow as pa

    groups = _table(10**9)
    first = next(groups)
    with pa.ipc.new_file(str(folder / "a.arrow"), first.schema) as writer:
        writer.write_table(first)
        for group in groups:
            writer.write_table(group)
    return folder / "a.arrow"


def npz(folder: Path) -> Path:
    """130,000 images of 32 × 32 in colours, packed; smooth, so that packing them is quick."""
    ramp = np.linspace(0, 255, 32 * 32 * 3).astype(np.uint8).reshape(1, 32, 32, 3)
    shift = np.arange(130_000, dtype=np.uint32).astype(np.uint8)[:, None, None, None]
    np.savez_compressed(folder / "a.npz", images=ramp + shift)
    return folder / "a.npz"


MADE: dict[str, Callable[[Path], Path]] = {
    "cifar": cifar,
    "lines": lines,
    "parquet": parquet,
    "arrow": arrow,
    "npz": npz,
}


def read(path: str) -> None:
    """Open, list, and read all; prints seconds and MB as JSON."""
    from stepwell.sources import open_source

    start = time.perf_counter()
    source = open_source(path)
    listed = sum(1 for _ in source.entries())
    opened = time.perf_counter() - start
    count = sum(len(batch) for batch in source.batches(256))
    seconds = time.perf_counter() - start
    assert count == listed, f"{count} of {listed} were read"
    row = {"rows": count, "opened": opened, "seconds": seconds, "cpu": time.process_time()}
    print(json.dumps({**row, "mb": _peak_mb()}))


def _peak_mb() -> float:
    """Most memory of this process: getrusage would also count what its parent had when it began."""
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**10
    except OSError:
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measured(src: Path, path: Path) -> dict[str, float]:
    """One reading by the sources in ``src``."""
    env = {**os.environ, "PYTHONPATH": str(src), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE), "--read", str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """A line of a table for each kind of source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=[*MADE], metavar="KIND")
    parser.add_argument("--against", type=Path, help="src of another checkout")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.read:
        read(said.read)
        return
    others = {"before": said.against.resolve()} if said.against else {}
    print("| source | of | rows | open, s | all, s | CPU, s | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    for kind in said.kinds:
        with tempfile.TemporaryDirectory() as name:
            path = MADE[kind](Path(name))
            found: dict[str, list[dict[str, float]]] = {}
            for _ in range(said.repeats):
                for which, src in {**others, "now": OWN}.items():
                    found.setdefault(which, []).append(measured(src, path))
            for which, rows in found.items():
                best = {key: min(row[key] for row in rows) for key in rows[0]}
                print(
                    f"| {kind} | {which} | {best['rows']:,.0f} | {best['opened']:.2f} | "
                    f"{best['seconds']:.2f} | {best['cpu']:.2f} | {best['mb']:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
