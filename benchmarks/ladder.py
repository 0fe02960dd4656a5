"""What do the pairs add? The rungs from raw input to example pairs, each beside its twin.

    python benchmarks/ladder.py cifar10 fashion trashnet pneumonia --preset fast

Rungs: raw input · random code (random atoms and modes, pooled) · whitening only (principal
components of patches, then of examples) · patch pairs (then whitening of examples) · example
pairs (the whole method). The twin of a rung has its pairs shuffled: patches of one image among
images, views among examples. All of one width, but for the first two. kNN (k = 20, T = 0.1)
and probe on the data set's test part, with 10 labels a class and with all. One JSON line each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from images import prepare

import stepwell as sw
from stepwell.encoders import PatchEncoder
from stepwell.evaluate.probe import few_labels

RUNGS = {
    "whitening only": ("none", "whitening only"),
    "patch pairs": ("image", "whitening only"),
    "patch pairs, shuffled": ("shuffled", "whitening only"),
    "example pairs": ("image", "stepwell"),
    "example pairs, shuffled": ("image", "shuffled pairs"),
}
BASES = {"raw input": "raw input", "random code": "random encoder"}


def scores(run: sw.Run, train: Path, test: Path, names: dict[str, str], seed: int) -> list[dict]:
    """A row a rung, on the run's own contestants."""
    from stepwell.contestants import Contestants

    contestants = Contestants(run, seed)
    sides = []
    for src in (train, test):
        source = run.open(src)
        known, parts, labels = source.labels(), [], []
        for batch in source.batches(run.chunk):
            found = contestants(batch)
            parts.append({name: found[name].astype(np.float16) for name in names.values()})
            labels += [known[str(i)] for i in batch.ids]
        joined = {n: np.concatenate([part[n] for part in parts]) for n in names.values()}
        sides.append((joined, np.array(labels)))
    (bank, known), (asked, truth) = sides
    _, labels, truth = _numbered(known, truth)
    rows = []
    for rung, name in names.items():
        row = {"rung": rung, "width": bank[name].shape[1]}
        for reader in ("knn", "probe"):
            for budget in (10, None):
                data = (bank[name].astype(np.float32), labels, asked[name].astype(np.float32))
                found = few_labels(reader, *data, truth, budget, seed)
                row[f"{reader}_{budget or 'all'}"] = round(found.value, 2)
        rows.append(row)
    return rows


def _numbered(known: np.ndarray, truth: np.ndarray) -> tuple:
    names, labels = np.unique(known, return_inverse=True)
    return names, labels, np.searchsorted(names, truth)


def main() -> None:
    """All rungs of all data sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--examples", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for data in options.data:
        with tempfile.TemporaryDirectory() as scratch:
            train, test = prepare(data, Path(scratch), options.examples)
            for pairs in ("image", "none", "shuffled"):
                names = {r: who for r, (what, who) in RUNGS.items() if what == pairs}
                names |= BASES if pairs == "image" else {}
                out = Path(scratch) / pairs
                encoder = PatchEncoder(options.preset, pairs=pairs)
                settings = {"preset": options.preset, "seed": options.seed, "report": False}
                run = sw.learn(train, out, encoder=encoder, **settings)
                views = [v["name"] for v in run.config["views"] if v["used"]]
                for row in scores(run, train, test, names, options.seed):
                    facts = {"data": data, "examples": run.config["data"]["examples"]}
                    print(json.dumps(facts | row | {"views": "+".join(views)}), flush=True)


if __name__ == "__main__":
    main()
