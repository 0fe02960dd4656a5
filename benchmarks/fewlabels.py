"""Few labels: the embedding beside its controls, and `finetune` beside what is simplest.

    python benchmarks/fewlabels.py embedding SET ...    # 3 seeds, 5 draws each
    python benchmarks/fewlabels.py finetune SET ...     # 20 draws of 20 labels, balanced and not
    python benchmarks/fewlabels.py tables FILE ...      # of what these print

Sets: digits (scikit-learn), fashion, cifar10, trashnet, pneumonia (see `images.py`), sst2 (sentences),
packages (sections of Debian packages by their one-line descriptions, where apt knows these).
Learning sees no label; the test part is read for these figures only.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from images import DATA, prepare
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import stepwell as sw
from stepwell.contestants import OURS, Contestants, with_components
from stepwell.evaluate.intervals import paired_draws
from stepwell.evaluate.probe import READERS, draw
from stepwell.features import EMBEDDING, features_of, terms_of, texts_of
from stepwell.fitting import fitted_head
from stepwell.kit.nearest import unit
from stepwell.kit.sampling import evenly
from stepwell.sources import open_source

IMAGES = {"fashion": 10_000, "trashnet": None, "pneumonia": None, "cifar10": 10_000}
SECTIONS = [
    "games",
    "sound",
    "science",
    "admin",
    "net",
    "text",
    "graphics",
    "mail",
    "math",
    "fonts",
    "database",
    "devel",
]
BUDGETS, DRAWS, SEEDS, TESTED = (1, 5, 10, 50, None), 5, 3, 2000
BEFORE = "modes alone (before)"


def sources(name: str, folder: Path) -> tuple[Path, Path]:
    """The part to learn from, and the part to test on, each with labels."""
    if name in IMAGES:
        return prepare(name, folder, IMAGES[name])
    if name == "sst2":
        return DATA / "sst2" / "train.tsv", DATA / "sst2" / "dev.tsv"
    if name == "digits":
        from sklearn.datasets import load_digits

        found = load_digits()
        order = np.random.default_rng(0).permutation(len(found.target))
        x, y = (found.images * 15.9).astype(np.uint8)[order], found.target[order]
        for part, rows in (("train", slice(1300)), ("test", slice(1300, None))):
            np.savez(folder / f"{part}.npz", images=x[rows], labels=y[rows])
        return folder / "train.npz", folder / "test.npz"
    rows = sorted(set(_packages()))
    random.Random(0).shuffle(rows)
    for part, some in (("train", rows[:6000]), ("test", rows[6000:8000])):
        with open(folder / f"{part}.csv", "w", encoding="utf-8") as file:
            csv.writer(file).writerows([("label", "text"), *some])
    return folder / "train.csv", folder / "test.csv"


def _packages() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True)
    for block in listed.stdout.split("\n\n"):
        lines = (line.split(": ", 1) for line in block.split("\n") if ": " in line)
        facts = {line[0]: line[1] for line in lines}
        if facts.get("Section") in SECTIONS and len(facts.get("Description", "").split()) > 3:
            yield facts["Section"], facts["Description"]


def read(run: Any, source: Path, make: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What ``make`` finds in each batch, and labels."""
    known, parts, labels = open_source(source).labels(), [], []
    for batch in run.open(source).batches(run.chunk):
        parts.append(make(batch))
        labels += [known[str(i)] for i in batch.ids]
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}, np.array(labels)


def nearest_mean(bank: Any, labels: Any, queries: Any) -> Any:
    """By cosine."""
    classes, rows = np.unique(labels, return_inverse=True)
    means = unit(np.eye(len(classes))[rows].T @ unit(bank))
    return classes[(unit(queries) @ means.T).argmax(1)]


def logistic(bank: Any, labels: Any, queries: Any) -> Any:
    """scikit-learn's, as it comes, on vectors of length 1."""
    return LogisticRegression(max_iter=300).fit(unit(bank), labels).predict(unit(queries))


def embedding(name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        train, test = sources(name, Path(scratch))
        hits: dict[Any, list[np.ndarray]] = {}
        for seed in range(SEEDS):
            run = sw.learn(
                train, Path(scratch) / f"r{seed}", preset="fast", seed=seed, report=False
            )
            made = Contestants(run, seed)
            modes = slice(run.map.modes)
            make = lambda b: (f := made(b)) | {BEFORE: f[OURS][:, modes]}  # noqa: E731, B023
            (bank, known), (asked, truth) = (read(run, each, make) for each in (train, test))
            some = np.random.default_rng(0).permutation(len(truth))[:TESTED]
            asked, truth = {k: v[some] for k, v in asked.items()}, truth[some]
            bank, asked = with_components(bank, asked, run.width)
            classes, y = np.unique(known, return_inverse=True)
            t = np.searchsorted(classes, truth)
            readers = {"knn": READERS["knn"], "mean": nearest_mean, "logistic": logistic}
            for budget in BUDGETS:
                rng = np.random.default_rng(seed)
                drawn = [draw(y, budget, rng) for _ in range(DRAWS)] if budget else [slice(None)]
                for reader, predict in readers.items():
                    if reader == "logistic" and budget is None:
                        continue
                    for who in bank:
                        told = [predict(bank[who][r].astype(np.float32), y[r], asked[who].astype(np.float32)) == t for r in drawn]  # fmt: skip
                        hits.setdefault((reader, budget, who), []).extend(told)
        for (reader, budget, who), each in hits.items():
            mine = np.stack(hits[reader, budget, OURS])
            gap = paired_draws(mine, np.stack(each))
            row = {"part": "embedding", "set": name, "reader": reader, "labels": budget or "all"}
            row |= {"who": who, "value": 100 * float(np.mean(each))}
            print(
                json.dumps(row | {"gap": gap.value, "low": gap.low, "high": gap.high}), flush=True
            )


def finetune(name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        train, test = sources(name, Path(scratch))
        run = sw.learn(train, Path(scratch) / "r", preset="fast", report=False)
        begun = time.process_time()
        text = run.config["source"]["kind"] == "text"
        terms = terms_of(run, []) if text else None
        words = time.process_time() - begun
        batches = {
            part: list(run.open(src).batches(run.chunk))
            for part, src in (("a", train), ("b", test))
        }
        labels = {p: open_source(s).labels() for p, s in (("a", train), ("b", test))}
        made = {p: [features_of(run, b, terms) for b in bs] for p, bs in batches.items()}
        both = {p: {k: _stacked([f[k] for f in fs]) for k in fs[0]} for p, fs in made.items()}
        y = np.array([labels["a"][str(i)] for b in batches["a"] for i in b.ids])
        t = np.array([labels["b"][str(i)] for b in batches["b"] for i in b.ids])
        some = np.random.default_rng(0).permutation(len(t))[:TESTED]
        asked, t = {k: v[some] for k, v in both["b"].items()}, t[some]
        classes = np.unique(y)
        raw = [[s for b in batches[p] for s in texts_of(b)] for p in "ab"] if text else None
        for balanced in (True, False):
            for seed in range(20):
                rng = np.random.default_rng(seed)
                rows = draw(np.searchsorted(classes, y), max(1, 20 // len(classes)), rng) if balanced else rng.permutation(len(y))[:20]  # fmt: skip
                if len(np.unique(y[rows])) < 2:
                    continue
                few = {k: v[rows] for k, v in both["a"].items()}
                pool = both["a"][EMBEDDING][np.setdiff1d(evenly(np.arange(len(y)), 5000), rows)]
                begun = time.process_time()
                head = fitted_head(few, y[rows].tolist(), list(map(str, rows)), pool, 0).head
                seconds = time.process_time() - begun + words
                z, q = few[EMBEDDING], asked[EMBEDDING]
                told = {"finetune": np.array(head.classes)[head(asked).argmax(1)]}
                told |= {
                    "nearest mean": nearest_mean(z, y[rows], q),
                    "logistic": logistic(z, y[rows], q),
                }
                if raw:
                    tf = TfidfVectorizer(sublinear_tf=True).fit(raw[0])
                    fit = LogisticRegression(max_iter=300).fit(
                        tf.transform([raw[0][i] for i in rows]), y[rows]
                    )
                    told["TF-IDF"] = fit.predict(tf.transform([raw[1][i] for i in some]))
                row = {
                    "part": "finetune",
                    "set": name,
                    "balanced": balanced,
                    "seed": seed,
                    "seconds": seconds,
                }
                print(
                    json.dumps(row | {k: 100 * float((v == t).mean()) for k, v in told.items()}),
                    flush=True,
                )


def _stacked(parts: list[Any]) -> Any:
    if hasattr(parts[0], "toarray"):
        from scipy import sparse

        return sparse.vstack(parts).tocsr()
    return np.concatenate(parts)


def tables(files: list[str]) -> None:
    rows = [
        json.loads(line)
        for file in files
        for line in Path(file).read_text().splitlines()
        if line.startswith("{")
    ]
    _embedding_table([r for r in rows if r["part"] == "embedding"])
    _finetune_table([r for r in rows if r["part"] == "finetune"])


def _embedding_table(rows: list[dict]) -> None:
    for reader in dict.fromkeys(r["reader"] for r in rows):
        print(f"\n### {reader}\n\n| set | labels | ours | before | best of the others | which | ours minus it (95 %) |\n|---|---|---|---|---|---|---|")  # fmt: skip
        for name in dict.fromkeys(r["set"] for r in rows):
            for labels in dict.fromkeys(r["labels"] for r in rows):
                mine = {
                    r["who"]: r
                    for r in rows
                    if (r["set"], r["reader"], r["labels"]) == (name, reader, labels)
                }
                if not mine:
                    continue
                others = {k: r for k, r in mine.items() if k not in (OURS, BEFORE)}
                best = max(others.values(), key=lambda r: r["value"])
                print(f"| {name} | {labels} | {mine[OURS]['value']:.1f} | {mine[BEFORE]['value']:.1f} | {best['value']:.1f} | {best['who']} | {best['gap']:+.1f} ({best['low']:+.1f} to {best['high']:+.1f}) |")  # fmt: skip


def _finetune_table(rows: list[dict]) -> None:
    print("\n| set | 20 labels | | mean | worst draw | finetune minus it: mean | in the worst draw | CPU s |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name in dict.fromkeys(r["set"] for r in rows):
        for balanced in (True, False):
            mine = [r for r in rows if r["set"] == name and r["balanced"] == balanced]
            for who in ("finetune", "nearest mean", "logistic", "TF-IDF"):
                if not mine or who not in mine[0]:
                    continue
                values = np.array([r[who] for r in mine])
                gaps = np.array([r["finetune"] - r[who] for r in mine])
                cost = f"{np.mean([r['seconds'] for r in mine]):.1f}" if who == "finetune" else ""
                gap = "| |" if who == "finetune" else f"| {gaps.mean():+.1f} | {gaps.min():+.1f}"
                kind = "balanced" if balanced else "as drawn"
                print(
                    f"| {name} | {kind} | {who} | {values.mean():.1f} | {values.min():.1f} {gap} | {cost} |"
                )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    part, *names = sys.argv[1:]
    if part == "tables":
        tables(names)
    else:
        for name in names:
            {"embedding": embedding, "finetune": finetune}[part](name)
