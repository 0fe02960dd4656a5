"""Few labels: the embedding beside its controls, and `finetune` beside what is simplest.

    python benchmarks/fewlabels.py embedding SET ...    # 3 seeds, 5 draws each
    python benchmarks/fewlabels.py finetune SET ...     # 20 draws of 20 labels, balanced and not
    python benchmarks/fewlabels.py tables FILE ...      # of what these print

Sets: digits (scikit-learn), fashion, cifar10, trashnet, pneumonia (see `images.py`), sst2,
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


def compared(run: Any, train: Path, test: Path, seed: int) -> tuple[Any, Any, Any, Any]:
    """Features by contestant and classes, of what labels are drawn from and of test examples."""
    made, modes = Contestants(run, seed), slice(run.map.modes)

    def make(batch: Any) -> dict[str, np.ndarray]:
        found = made(batch)
        return found | {BEFORE: found[OURS][:, modes]}

    (bank, known), (asked, truth) = (read(run, each, make) for each in (train, test))
    some = np.random.default_rng(0).permutation(len(truth))[:TESTED]
    asked, truth = {k: v[some] for k, v in asked.items()}, truth[some]
    bank, asked = with_components(bank, asked, run.width)
    classes, y = np.unique(known, return_inverse=True)
    return bank, y, asked, np.searchsorted(classes, truth)


READ = {"knn": READERS["knn"], "mean": nearest_mean, "logistic": logistic}


def embedding(name: str) -> None:
    """Every contestant and reader, by labels a class."""
    hits: dict[Any, list[np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        train, test = sources(name, Path(scratch))
        for seed in range(SEEDS):
            out = Path(scratch) / f"r{seed}"
            run = sw.learn(train, out, preset="fast", seed=seed, report=False)
            bank, y, asked, t = compared(run, train, test, seed)
            for budget in BUDGETS:
                rng = np.random.default_rng(seed)
                drawn = [draw(y, budget, rng) for _ in range(DRAWS)] if budget else [slice(None)]
                for who, reader in ((who, reader) for who in bank for reader in READ):
                    if reader == "logistic" and budget is None:
                        continue
                    x, q = (side[who].astype(np.float32) for side in (bank, asked))
                    told = [READ[reader](x[rows], y[rows], q) == t for rows in drawn]
                    hits.setdefault((reader, budget or "all", who), []).extend(told)
    for (reader, labels, who), each in hits.items():
        gap = paired_draws(np.stack(hits[reader, labels, OURS]), np.stack(each))
        row = {"part": "embedding", "set": name, "reader": reader, "labels": labels, "who": who}
        row |= {"value": 100 * float(np.mean(each)), "gap": gap.value}
        print(json.dumps(row | {"low": gap.low, "high": gap.high}), flush=True)


def finetune(name: str) -> None:
    """20 draws of 20 labels, as many of each class and as they come."""
    with tempfile.TemporaryDirectory() as scratch:
        train, test = sources(name, Path(scratch))
        run = sw.learn(train, Path(scratch) / "r", preset="fast", report=False)
        begun = time.process_time()
        text = run.config["source"]["kind"] == "text"
        terms = terms_of(run, []) if text else None
        words = time.process_time() - begun
        known, y, raw = _all(run, train, terms)
        asked, t, others = _all(run, test, terms)
    some = np.random.default_rng(0).permutation(len(t))[:TESTED]
    asked, t, others = {k: v[some] for k, v in asked.items()}, t[some], others[some]
    tfidf = TfidfVectorizer(sublinear_tf=True).fit(raw) if text else None
    classes, places = np.unique(y, return_inverse=True)
    for balanced, seed in ((b, s) for b in (True, False) for s in range(20)):
        rng = np.random.default_rng(seed)
        rows = draw(places, max(1, 20 // len(classes)), rng)
        if not balanced:
            rows = np.random.default_rng(seed).permutation(len(y))[:20]
        if len(np.unique(y[rows])) < 2:
            continue
        few = {k: v[rows] for k, v in known.items()}
        pool = known[EMBEDDING][np.setdiff1d(evenly(np.arange(len(y)), 5000), rows)]
        begun = time.process_time()
        head = fitted_head(few, y[rows].tolist(), list(map(str, rows)), pool, 0).head
        row = {"part": "finetune", "set": name, "balanced": balanced, "seed": seed}
        row["seconds"] = time.process_time() - begun + words
        told = {"finetune": np.array(head.classes)[head(asked).argmax(1)]}
        told["nearest mean"] = nearest_mean(few[EMBEDDING], y[rows], asked[EMBEDDING])
        told["logistic"] = logistic(few[EMBEDDING], y[rows], asked[EMBEDDING])
        if tfidf is not None:
            fit = LogisticRegression(max_iter=300).fit(tfidf.transform(raw[rows]), y[rows])
            told["TF-IDF"] = fit.predict(tfidf.transform(others))
        told = {who: 100 * float((each == t).mean()) for who, each in told.items()}
        print(json.dumps(row | told), flush=True)


def _all(run: Any, source: Path, terms: Any) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What a head may read of all examples, their labels, and texts where they are texts."""
    known, parts, labels, texts = open_source(source).labels(), [], [], []
    for batch in run.open(source).batches(run.chunk):
        parts.append(features_of(run, batch, terms))
        labels += [known[str(i)] for i in batch.ids]
        texts += texts_of(batch) if terms is not None else [""] * len(batch)
    joined = {k: _stacked([p[k] for p in parts]) for k in parts[0]}
    return joined, np.array(labels), np.array(texts, object)


def _stacked(parts: list[Any]) -> Any:
    if hasattr(parts[0], "toarray"):
        from scipy import sparse

        return sparse.vstack(parts).tocsr()
    return np.concatenate(parts)


def tables(files: list[str]) -> None:
    """What was printed, as tables."""
    lines = [line for file in files for line in Path(file).read_text().splitlines()]
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    _embedding_table([row for row in rows if row["part"] == "embedding"])
    _finetune_table([row for row in rows if row["part"] == "finetune"])


def _table(head: str, lines: list[list[str]]) -> None:
    cells = head.split("|")
    for line in (cells, ["---"] * len(cells), *lines):
        print(f"| {' | '.join(line)} |")


def _embedding_table(rows: list[dict]) -> None:
    for reader in dict.fromkeys(row["reader"] for row in rows):
        lines = []
        for name, labels in dict.fromkeys((row["set"], row["labels"]) for row in rows):
            same = (name, labels, reader)
            mine = {r["who"]: r for r in rows if (r["set"], r["labels"], r["reader"]) == same}
            if not mine:
                continue
            others = [row for who, row in mine.items() if who not in (OURS, BEFORE)]
            best = max(others, key=lambda row: row["value"])
            line = [name, str(labels), f"{mine[OURS]['value']:.1f}", f"{mine[BEFORE]['value']:.1f}"]
            gap = f"{best['gap']:+.1f} ({best['low']:+.1f} to {best['high']:+.1f})"
            lines.append([*line, f"{best['value']:.1f}", best["who"], gap])
        print(f"\n### {reader}\n")
        _table("set|labels a class|ours|before|best of the others|which|ours minus it", lines)


def _finetune_table(rows: list[dict]) -> None:
    lines = []
    for name, balanced in dict.fromkeys((row["set"], row["balanced"]) for row in rows):
        mine = [row for row in rows if (row["set"], row["balanced"]) == (name, balanced)]
        for who in ("finetune", "nearest mean", "logistic", "TF-IDF"):
            if who not in mine[0]:
                continue
            values = np.array([row[who] for row in mine])
            gaps = np.array([row["finetune"] - row[who] for row in mine])
            line = [name, "balanced" if balanced else "as drawn", who, f"{values.mean():.1f}"]
            line += [f"{values.min():.1f}"]
            if who == "finetune":
                line += ["", "", f"{np.mean([row['seconds'] for row in mine]):.1f}"]
            else:
                line += [f"{gaps.mean():+.1f}", f"{gaps.min():+.1f}", ""]
            lines.append(line)
    print()
    _table("set|20 labels|who|mean|worst|finetune minus it|in the worst draw|CPU s", lines)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    part, *names = sys.argv[1:]
    if part == "tables":
        tables(names)
    else:
        for each in names:
            {"embedding": embedding, "finetune": finetune}[part](each)
