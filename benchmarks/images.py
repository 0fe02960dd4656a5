"""Images: accuracy beside the controls, CPU seconds and peak memory, a process a row.

    python benchmarks/images.py cifar10 --examples 10000 --preset fast --controls
    python benchmarks/images.py fashion | trashnet

The test part is every 10th image of each class of CIFAR-10 (index 5 of ten; index 0 of
ten is held out for choices and never read here), Fashion-MNIST's own, and every 5th
photograph of a class of TrashNet. Labels enter only after learning.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # as the command line does

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FASHION = Path("/usr/share/datasets/fashion-mnist")


def unzip_split(archive: Path, folder: Path, every: int, place: int, skip: int | None) -> None:
    """Files of ``CLASS/NAME`` into ``folder``/train and /test, by their number in the class."""
    seen: dict[str, int] = defaultdict(int)
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(packed.namelist()):
            if name.endswith("/"):
                continue
            label = name.split("/")[-2]
            turn = seen[label] % every
            seen[label] += 1
            if turn == skip:
                continue
            target = folder / ("test" if turn == place else "train") / label / name.split("/")[-1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed.read(name))


def subset(folder: Path, wanted: int | None) -> None:
    """Keep ``wanted`` files of ``folder``, the same number of each class."""
    classes = sorted(folder.iterdir())
    for one in classes if wanted else ():
        for path in sorted(one.iterdir())[wanted // len(classes) :]:
            path.unlink()


def idx(part: str, what: str, head: int) -> np.ndarray:
    """The numbers of one of Fashion-MNIST's files, after its header."""
    name = f"{part}-{what}-idx{3 if what == 'images' else 1}-ubyte.gz"
    return np.frombuffer(gzip.open(FASHION / name).read(), np.uint8)[head:]


def prepare(name: str, folder: Path, examples: int | None) -> tuple[Path, Path]:
    """Paths of the training part and the test part."""
    if name == "fashion" and examples:
        for part, there, count in (("train", "train", examples), ("test", "t10k", 10_000)):
            columns = {"images": idx(there, "images", 16), "labels": idx(there, "labels", 8)}
            columns["images"] = columns["images"].reshape(-1, 28, 28)
            np.savez(folder / f"{part}.npz", **{k: v[:count] for k, v in columns.items()})
        return folder / "train.npz", folder / "test.npz"
    if name == "fashion":
        return (
            FASHION / "train-images-idx3-ubyte.gz",
            FASHION / "t10k-images-idx3-ubyte.gz",
        )
    if name == "pneumonia":
        packed = np.load(DATA / "pneumoniamnist-trainval.npz")
        for part, there in (("train", "train"), ("test", "val")):
            columns = {k: packed[f"{there}_{k}"] for k in ("images", "labels")}
            np.savez(folder / f"{part}.npz", **columns)
        return folder / "train.npz", folder / "test.npz"
    if name == "digits":
        from sklearn.datasets import load_digits

        columns = {"images": (load_digits().images * 15.9).astype(np.uint8)}
        columns["labels"] = load_digits().target
        test = np.arange(len(columns["labels"])) % 5 == 4
        np.savez(folder / "train.npz", **{k: v[~test] for k, v in columns.items()})
        np.savez(folder / "test.npz", **{k: v[test] for k, v in columns.items()})
        return folder / "train.npz", folder / "test.npz"
    if name == "cifar10":
        unzip_split(DATA / "cifar10-train.zip", folder, 10, 5, 0)
    elif name == "cifar10-all":  # for what it costs: 50,000 to learn from, none to test
        unzip_split(DATA / "cifar10-train.zip", folder, 10, -1, None)
    else:
        unzip_split(DATA / "trashnet.zip", folder, 5, 4, None)
    subset(folder / "train", examples)
    return folder / "train", folder / "test"


def part_and_preset(about: str | None) -> argparse.Namespace:
    """``--examples`` and ``--preset`` of the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--preset", default="fast")
    return parser.parse_args()


def spent() -> float:
    """CPU seconds of this process."""
    times = os.times()
    return times.user + times.system


def one_row(options: argparse.Namespace) -> dict:
    """Learn, then score: run in a process of its own, so that peak memory is its own."""
    import stepwell as sw
    from stepwell.evaluate.probe import knn, linear_predict
    from stepwell.kit.stopwatch import peak_memory
    from stepwell.sources import open_source

    with tempfile.TemporaryDirectory() as scratch:
        train, test = prepare(options.data, Path(scratch), options.examples)
        begin, wall = spent(), time.perf_counter()
        out = Path(scratch) / "run"
        run = sw.learn(train, out, preset=options.preset, seed=options.seed, report=False)
        row = {"data": options.data, "preset": options.preset, "seed": options.seed}
        row |= {"learn_cpu_s": spent() - begin, "wall_s": time.perf_counter() - wall}
        row |= {"peak_mb": peak_memory(), "examples": run.config["data"]["examples"]}
        if options.data == "cifar10-all":
            return row | {"cost": True}
        views = [v["name"] for v in run.config["views"] if v["used"]]
        row |= {"width": run.width, "views": "+".join(views)}
        known, asked = open_source(train).labels(), open_source(test).labels()
        bank_ids, bank = run.index
        begin, wall = spent(), time.perf_counter()
        parts = list(run.embed_batches(test))
        ids = [str(i) for batch, _ in parts for i in batch.ids]
        row["embed_per_s"] = len(ids) / (time.perf_counter() - wall)
        queries = np.concatenate([z for _, z in parts])
        names = sorted(set(known.values()))
        truth = np.array([names.index(asked[i]) for i in ids])
        labels = np.array([names.index(known[str(i)]) for i in bank_ids])
        bank = bank.astype(np.float32)
        for reader, predict in (("knn", knn), ("probe", linear_predict)):
            row[reader] = 100 * float((predict(bank, labels, queries) == truth).mean())
        if options.controls:
            row["table"] = run.evaluate(train, test, seed=options.seed)["labelled"]
    return row


def main() -> None:
    """Print one row as JSON; with several seeds, a process each."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ["cifar10", "cifar10-all", "fashion", "trashnet", "pneumonia"]
    parser.add_argument("data", choices=names)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--controls", action="store_true")
    options = parser.parse_args()
    if options.seeds == 1:
        print(json.dumps(one_row(options)), flush=True)
        return
    again = [sys.argv[0], options.data, f"--preset={options.preset}"]
    again += [f"--examples={options.examples}"] if options.examples else []
    again += ["--controls"] if options.controls else []
    for seed in range(options.seeds):
        subprocess.run([sys.executable, *again, "--seeds=1", f"--seed={seed}"], check=True)


if __name__ == "__main__":
    main()
