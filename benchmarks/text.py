"""Sentiment of film reviews with few labels, beside TF-IDF and the controls of a run; and what
the next sign of a play costs.

    python benchmarks/text.py sentiment generation > build/text.jsonl
    python benchmarks/text.py --table build/text.jsonl > benchmarks/results/text.md

SST-2 (binary): 6,920 training sentences, 872 to test on. Everybody reads features by logistic
regression, its C by cross-validation on the labelled ones; the same ten draws for all.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from tables import emit, grouped, headed, run_parts, spread, table

import stepwell
from stepwell.apply.mixture import mixed
from stepwell.contestants import ALONE, Contestants
from stepwell.engines.ngram import NgramCounts, NgramModel
from stepwell.evaluate.intervals import paired_difference
from stepwell.evaluate.probe import draw
from stepwell.features import features_of, terms_of
from stepwell.fitting import POOL, fitted_head
from stepwell.generating import PACKERS, alone, counts_of, packed
from stepwell.interfaces import concatenate
from stepwell.scoring import read_scores
from stepwell.sources import open_source

PLAYS = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare.txt"
SST = Path(__file__).parents[2] / "shared" / "data" / "sst2"
BUDGETS = (10, 50, 250, None)
DRAWS = 10
MINUTES = (1, 3, 20)
TRAINED = ("missing", "order", "two_views")
SEEDS, EPOCHS = 3, 6
"""Of networks on sentences."""
TFIDF = {
    "TF-IDF, words 1 to 2": {"ngram_range": (1, 2)},
    "TF-IDF, letters 2 to 5": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}
FINETUNED = "stepwell finetune"
OFF = "its calibration error"


def sentiment() -> None:
    """Accuracy of each contestant and number of labels."""
    begun, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = stepwell.learn(SST / "train.tsv", Path(folder) / "run", report=False)
        emit(part="cost", seconds=time.perf_counter() - begun, cpu=time.process_time() - cpu)
        bank, known = _texts("train.tsv")
        asked, truth = _texts("dev.tsv")
        for name, sides in _features(run, bank, asked):
            for budget in BUDGETS:
                for seed in range(DRAWS if budget else 1):
                    rows = _drawn(known, budget, seed)
                    told = _read(sides[0][rows], known[rows], sides[1])
                    accuracy = float((told == truth).mean() * 100)
                    emit(part="sentiment", name=name, labels=budget, seed=seed, value=accuracy)
                    if budget is None:
                        emit(part="all", name=name, right=(told == truth).tolist())
        _finetuned(run, bank, known, asked, truth)


def _finetuned(run: Any, bank: Any, known: Any, asked: Any, truth: Any) -> None:
    """The head that ``stepwell finetune`` chooses, on the same draws; and how far its confidence
    is from how often it is right."""
    terms = terms_of(run, [])
    pool = run.index[1][:: max(1, len(run.index[0]) // POOL)].astype(np.float32)
    ours = {name: features_of(run, side, terms) for name, side in (("b", bank), ("a", asked))}
    for budget in BUDGETS:
        for seed in range(DRAWS if budget else 1):
            rows = _drawn(known, budget, seed)
            few = {name: each[rows] for name, each in ours["b"].items()}
            groups = list(map(str, bank.group[rows]))
            told = list(map(str, known[rows]))
            head = fitted_head(few, told, groups, pool).head
            p = head(ours["a"])
            right = np.array(head.classes)[p.argmax(1)] == truth.astype(str)
            row = {"part": "sentiment", "labels": budget, "seed": seed}
            emit(name=FINETUNED, value=float(right.mean() * 100), **row)
            emit(name=OFF, value=_off(p.max(1), right), **row)
            if budget is None:
                emit(part="all", name=FINETUNED, right=right.tolist())


def _drawn(known: Any, budget: int | None, seed: int) -> Any:
    """Rows of so many labels a class; of all of them, if none is said."""
    everyone = np.arange(len(known))
    return everyone if budget is None else draw(known, budget, np.random.default_rng(seed))


def _off(sure: Any, right: Any) -> float:
    """Expected calibration error, ten bins, in per cent."""
    bins = np.clip((sure * 10).astype(int), 0, 9)
    gaps = [
        abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(100 * sum(gaps))


def generation() -> None:
    """Nats a sign of the last tenth of tiny-Shakespeare, by counts of the rest."""
    text = PLAYS.read_text("utf-8")
    seen, asked = text[: int(len(text) * 0.9)], text[int(len(text) * 0.9) :]
    for order in range(3, 9):
        begun, counts = time.perf_counter(), NgramCounts(order)
        counts.add([seen])
        nats = NgramModel(counts).nats([asked]) / len(asked)
        emit(part="generation", name=f"{order} bytes", nats=nats, s=time.perf_counter() - begun)
    single = {"single bytes": alone([seen], [asked]) / len(asked)}
    packs = {name: packed(pack, [seen], [asked]) for name, pack in PACKERS.items()}
    for name, nats in (single | {k: v * 8 * log(2) / len(asked) for k, v in packs.items()}).items():
        emit(part="generation", name=name, nats=nats, s=None)


def writing() -> None:
    """The same by a transformer that was trained for so many minutes, alone and with the counts;
    paragraph by paragraph, ends told too."""
    text = PLAYS.read_text("utf-8")
    cut = text.rindex("\n\n", 0, int(len(text) * 0.9))
    asked = [part.strip() for part in text[cut:].split("\n\n") if part.strip()]
    for minutes in MINUTES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "plays.txt"
            path.write_text(text[:cut])
            cpu = time.process_time()
            run = stepwell.learn(
                path,
                Path(folder) / "run",
                pretext="next",
                budget=60 * minutes,
                train={"shuffled": False},
                report=False,
            )
            cpu, weight = time.process_time() - cpu, read_scores(run).get("weight", 1.0)
            model = NgramModel(counts_of(run))
            by_counts = np.concatenate(list(model.surprises(asked)))
            encoder: Any = run.encoder
            by_network = np.concatenate(list(encoder.surprises(asked)))
            both = mixed(by_counts, by_network, weight)
            for name, cost in (("counts", by_counts), ("transformer", by_network), ("both", both)):
                nats = float(cost.sum()) / (len(text) - cut)
                emit(part="writing", name=name, nats=nats, minutes=minutes, cpu=cpu / 60)


def pretexts() -> None:
    """Sentiment by networks that were trained on a pretext, and by their twins on shuffled ones."""
    bank, known = _texts("train.tsv")
    asked, truth = _texts("dev.tsv")
    for pretext in TRAINED:
        for seed in range(SEEDS):
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                run = stepwell.learn(
                    SST / "train.tsv",
                    Path(folder) / "run",
                    pretext=pretext,
                    engine="gradient",
                    preset="fast",
                    train={"samples": EPOCHS * len(known)},
                    seed=seed,
                    report=False,
                )
                seconds = time.perf_counter() - begun
                contestants = Contestants(run, seed)
                ours = [contestants(side) for side in (bank, asked)]
            for name in ours[0]:
                for budget in (250, None):
                    rows = _drawn(known, budget, seed)
                    told = _read(ours[0][name][rows], known[rows], ours[1][name])
                    value = float((told == truth).mean() * 100)
                    row = {"name": name, "labels": budget, "seed": seed, "seconds": seconds}
                    emit(part="pretexts", pretext=pretext, value=value, **row)


def _pretexts(rows: list[dict[str, Any]]) -> str:
    found, lines = grouped(rows, "pretext", "name", "labels"), []
    for pretext, name in grouped(rows, "pretext", "name"):
        values = {b: [row["value"] for row in found[pretext, name, b]] for b in (250, None)}
        lines.append([pretext, name, *(spread(each) for each in values.values())])
        lines[-1].append(str(len(values[None])))
    return table(["pretext", "", "250", "all", "seeds"], lines)


def _writing(rows: list[dict[str, Any]]) -> str:
    lines = [
        [row["name"], f"{row['minutes']}", f"{row['cpu']:.0f}", f"{row['nats']:.3f}"]
        for row in rows
    ]
    return table(["by", "minutes", "CPU minutes", "nats a sign"], lines)


def _nats(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        seconds = "" if row["s"] is None else f"{row['s']:.2f}"
        lines.append([row["name"], f"{row['nats']:.3f}", f"{row['nats'] / log(2):.3f}", seconds])
    return table(["by", "nats a sign", "bits a sign", "seconds"], lines)


def _texts(name: str) -> tuple[Any, Any]:
    source = open_source(SST / name)
    batch, labels = concatenate(source.batches(512)), source.labels()
    return batch, np.array([int(labels[i]) for i in batch.ids])


def _features(run: Any, bank: Any, asked: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Of both sets: the run and its controls, TF-IDF, and the run joined with that."""
    contestants = Contestants(run, 0)
    ours = [contestants(side) for side in (bank, asked)]
    for name in ours[0]:
        yield name, (ours[0][name], ours[1][name])
    for name, options in TFIDF.items():
        made = TfidfVectorizer(sublinear_tf=True, **options)
        sides = made.fit_transform(bank.data["text"]), made.transform(asked.data["text"])
        yield name, sides
    features = [np.asarray(run.encoder.embed(side)) for side in (bank, asked)]
    yield ALONE, (features[0], features[1])


def _read(features: Any, labels: Any, asked: Any) -> Any:
    folds = int(min(5, np.bincount(labels).min()))
    reader = LogisticRegressionCV(Cs=np.logspace(-2, 3, 6), cv=folds, max_iter=2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (ConvergenceWarning, FutureWarning))
        return reader.fit(features, labels).predict(asked)


def _table(rows: list[dict[str, Any]]) -> str:
    found = grouped(rows, "name", "labels")
    lines = [
        [name, *(spread([row["value"] for row in found[name, budget]]) for budget in BUDGETS)]
        for name in dict.fromkeys(row["name"] for row in rows)
    ]
    return table(["", "10", "50", "250", "all"], lines)


def _paired(rows: list[dict[str, Any]]) -> str:
    right = {row["name"]: np.array(row["right"]) for row in rows}
    ours, lines = right.pop(FINETUNED), []
    for name, theirs in right.items():
        gap = paired_difference(ours, theirs)
        lines.append([name, f"{gap.value:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]"])
    return table([f"{FINETUNED} minus", "per cent"], lines)


def _cost(rows: list[dict[str, Any]]) -> str:
    return "\n".join(f"{row['seconds']:.1f} s, {row['cpu']:.1f} CPU s.\n" for row in rows)


HEAD = headed("Text: what is measured", "text.py")
TABLES = {
    "cost": ("Time to learn", "6,920 sentences, reading and writing the run included.", _cost),
    "sentiment": (
        "Sentiment with few labels",
        "SST-2, accuracy on 872 sentences, labels a class; mean and standard deviation of ten "
        "draws, the same for all. Logistic regression, C by cross-validation.",
        _table,
    ),
    "all": ("With all labels", "On the same sentences; 95 % intervals.", _paired),
    "pretexts": (
        "Pretexts of networks, and sentiment",
        "Transformers of 2 layers of width 128, six epochs on the training sentences; logistic "
        "regression as above, labels a class. Means and standard deviations of seeds, each with "
        "its own draw. Shuffled: the same network on tokens, or halves, of other texts.",
        _pretexts,
    ),
    "generation": (
        "What the next sign costs",
        "Tiny-Shakespeare: learned from the first nine tenths, scored on the last; counting and "
        "scoring, one core. nanoGPT's own figure after 3 minutes on a CPU is 1.88 nats.",
        _nats,
    ),
    "writing": (
        "What it costs by a transformer",
        "Tiny-Shakespeare, trained on paragraphs of the first nine tenths (less a tenth of these, "
        "by which the weight of the counts was chosen), scored on the last; two cores.",
        _writing,
    ),
}

if __name__ == "__main__":
    run_parts(
        __doc__,
        {
            "sentiment": sentiment,
            "pretexts": pretexts,
            "generation": generation,
            "writing": writing,
        },
        HEAD,
        TABLES,
    )
