"""Few labels: accuracy, promises, strange examples, suggestions, doubtful labels; and what
fine-tuning forgets.

    python benchmarks/finetune.py few promise strange suggest suspects forget > build/finetune.jsonl
    python benchmarks/finetune.py --table build/finetune.jsonl > benchmarks/results/finetune.md

Runs are learned without labels on training parts (`images.py`), labels are drawn from these, and
accuracies are of test parts, which took part in no choice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import product

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # as the command line does
os.environ.setdefault("STEPWELL_TRUST", "convnet:small")

import numpy as np
from finetune_data import SETS, TESTED, Few, classical, opened, scratch
from forgetting import forget, forget_table
from sklearn.metrics import roc_auc_score
from tables import emit, grouped, headed, run_parts, spread, table

from stepwell.adapt import Sets, suspects
from stepwell.evaluate.corruptions import corruptions_of
from stepwell.evaluate.probe import draw
from stepwell.evaluate.strangeness import Typical, Usual, shift
from stepwell.features import EMBEDDING
from stepwell.interfaces import Batch, UsageError
from stepwell.predicting import STRANGE
from stepwell.run import Run

BUDGETS = (1, 5, 10, 50)
DRAWS, SEEDS = 3, 5
WORSE = list(product(("noise", "blur", "rotation", "brightness"), (1, 3)))


def few() -> None:
    """Accuracy with few labels a class, and whether sets hold what they promise."""
    for name in SETS:
        data = opened(name)
        some = slice(0, TESTED)
        truth = data.truth[some]
        for budget in BUDGETS:
            for seed in range(DRAWS):
                rows = draw(data.y, budget, np.random.default_rng(seed))
                found = data.head(rows)
                said = found.head({k: v[some] for k, v in data.tested.items()})
                right = said.argmax(1) == truth
                row = {"part": "few", "data": name, "labels": budget, "seed": seed}
                row |= {"stepwell": 100 * right.mean(), "how": found.head.how}
                row |= {"too_sure": 100 * (said.max(1).mean() - right.mean())}
                row |= classical(data, rows, truth)
                if seed < 2:
                    row["scratch"] = scratch(data, rows, truth, seed)
                emit(**row)


def promise() -> None:
    """Whether sets hold the right label as often as promised; labels are drawn whatever they are,
    and so are the examples to test on."""
    for name in SETS:
        data = opened(name)
        for seed in range(DRAWS):
            order = np.random.default_rng(seed).permutation(len(data.y))
            asked = order[-min(TESTED, len(order) // 3) :]
            said_of = {k: v[asked] for k, v in data.x.items()}
            for count in (50, 200):
                found = data.head(order[:count])
                known = np.array([int(c) for c in found.head.classes])
                said, row = found.head(said_of), {"part": "promise", "data": name, "labels": count}
                for coverage in (0.8, 0.9, 0.95):
                    inside = Sets(found.head.held, coverage)(said)
                    held = (inside & (known[None] == data.y[asked][:, None])).any(1)
                    row |= {f"covered {coverage}": 100 * held.mean()}
                    row |= {f"size {coverage}": inside.sum(1).mean()}
                emit(**row, seed=seed, how=found.head.how)


def strange() -> None:
    """How typical test examples are said to be, as they are, made worse, or of another data set."""
    worse = corruptions_of("image")
    for name in SETS:
        data = opened(name)
        run = data.run
        typical = Typical(run.index[1], run.part(Usual.name))
        own = [batch.take(slice(0, None, 4)) for batch in run.open(data.test).batches(run.chunk)]
        found = {"test part": asked_of(run, typical, own)}
        for kind, strength in WORSE:
            changed = [worse[kind](batch, strength, 0) for batch in own]
            found[f"{kind} {strength + 1}"] = asked_of(run, typical, changed)
        for other in (other for other in SETS if other != name):
            with suppress(UsageError):  # of colours, where greys were learned
                batches = run.open(opened(other).test).batches(run.chunk)
                some = (batch.take(slice(0, None, 4)) for batch in batches)
                found[other] = asked_of(run, typical, some)
        plain = found["test part"]
        for what, p in found.items():
            area = roc_auc_score(np.arange(len(p) + len(plain)) < len(p), -np.append(p, plain))
            row = {"part": "strange", "data": name, "what": what, "examples": len(p)}
            row |= {"area": area, "flagged": 100 * (p < STRANGE).mean(), "shift": shift(p)}
            emit(**row)


def asked_of(run: Run, typical: Typical, batches: Iterable[Batch]) -> np.ndarray:
    """How typical examples are."""
    found = [np.asarray(run.encoder.embed(batch)) for batch in batches]
    return np.concatenate([typical(run.map(x), run.map.quantiser(x)) for x in found])


def suggest() -> None:
    """Labels that are suggested against labels that are drawn: accuracy as they come."""
    from stepwell.adapt import suggest_rows, unsure_of

    for name in ("trashnet", "fashion", "cifar10"):
        data = opened(name)
        z, kinds = data.x[EMBEDDING], len(data.classes)
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            for how in ("random", "suggested"):
                rows = np.zeros(0, np.intp)
                for total in (kinds, 2 * kinds, 4 * kinds, 8 * kinds, 16 * kinds):
                    free = np.setdiff1d(np.arange(len(z)), rows)
                    more = total - len(rows)
                    if how == "random":
                        new = rng.choice(free, more, replace=False)
                    else:
                        order = np.concatenate([rows, rng.permutation(free)])
                        y = data.y[rows]
                        unsure = None
                        if len(np.unique(y)) > 1:
                            place = np.unique(y, return_inverse=True)[1]
                            unsure = unsure_of(z[rows], place, z[order[len(rows) :]])
                        picked = suggest_rows(z[order], more, np.arange(len(rows)), unsure, seed)[0]
                        new = order[picked]
                    rows = np.concatenate([rows, new])
                    emit(
                        part="suggest",
                        data=name,
                        seed=seed,
                        how=how,
                        labels=total,
                        accuracy=told(data, rows),
                    )


def told(data: Few, rows: np.ndarray) -> float:
    """Accuracy from labels that may miss some classes."""
    kinds = np.unique(data.y[rows])
    some = slice(0, TESTED)
    if len(kinds) < 2:
        return 100 * float((data.truth[some] == kinds[0]).mean())
    head = data.head(rows).head
    best = head({k: v[some] for k, v in data.tested.items()}).argmax(1)
    return 100 * float((np.array([int(c) for c in head.classes])[best] == data.truth[some]).mean())


def wrong_labels() -> None:
    """A tenth of the labels replaced by others: how many are found, and what they cost."""
    for name in SETS:
        data = opened(name)
        for seed in range(DRAWS):
            rng = np.random.default_rng(seed)
            rows = rng.permutation(len(data.y))[:1000]
            given = data.y[rows].copy()
            bad = rng.permutation(len(rows))[: len(rows) // 10]
            given[bad] = (given[bad] + rng.integers(1, len(data.classes), len(bad))) % len(
                data.classes
            )
            found = data.head(rows, given)
            ids = [str(i) for i in found.judged]
            listed = suspects(found.shares, found.truth[found.judged], found.head.classes, ids)
            hits = np.isin([int(row["id"]) for row in listed], bad)
            first = hits[: len(bad)]
            emit(
                part="suspects",
                data=name,
                seed=seed,
                labels=len(rows),
                wrong=len(bad),
                listed=len(hits),
                precision=100 * float(np.mean(hits)),
                recall=100 * sum(hits) / len(bad),
                first=100 * float(np.mean(first)),
            )


def few_table(rows: list[dict]) -> str:
    names = (
        "stepwell",
        "logistic on random patches",
        "SVM on PCA of pixels",
        "logistic on PCA of pixels",
        "scratch",
    )
    lines = [
        [
            data,
            str(labels),
            *(spread([r.get(n) for r in same]) for n in names),
            spread([r["too_sure"] for r in same]),
        ]
        for (data, labels), same in grouped(rows, "data", "labels").items()
    ]
    return table(
        ["data", "labels a class", *names[:-1], "convnet from scratch", "surer than right, points"],
        lines,
    )


def promise_table(rows: list[dict]) -> str:
    lines = []
    for (labels,), same in grouped(rows, "labels").items():
        for coverage in (0.8, 0.9, 0.95):
            some = [r for r in same if f"covered {coverage}" in r]
            if some:
                each = [
                    spread([r[f"covered {coverage}"] for r in own])
                    for own in grouped(some, "data").values()
                ]
                mean = float(np.mean([r[f"covered {coverage}"] for r in some]))
                lines.append(
                    [
                        str(labels),
                        f"{coverage:.0%}",
                        f"{mean:.1f}",
                        " · ".join(each),
                        spread([r[f"size {coverage}"] for r in some]),
                    ]
                )
    return table(
        ["labels in all", "promised", "held, mean", "each data set", "labels in a set"], lines
    )


def suggest_table(rows: list[dict]) -> str:
    lines = []
    for (data,), same in grouped(rows, "data").items():
        areas = {
            how: [
                np.mean([r["accuracy"] for r in own])
                for own in grouped([r for r in same if r["how"] == how], "seed").values()
            ]
            for how in ("random", "suggested")
        }
        for how, own in areas.items():
            each = [
                spread([r["accuracy"] for r in same if r["how"] == how and r["labels"] == n])
                for n in sorted({r["labels"] for r in same})
            ]
            gain = "" if how == "random" else _gain(own, areas["random"])
            lines.append([data, how, *each, spread(own), gain])
    return table(["data", "labels", "1 a class", "2", "4", "8", "16", "mean", "gain"], lines)


def _gain(own: list[float], other: list[float]) -> str:
    won = sum(a > b for a, b in zip(own, other, strict=True))
    return f"{np.mean(own) - np.mean(other):+.1f} ({won} of {len(own)} seeds)"


def suspects_table(rows: list[dict]) -> str:
    lines = [
        [data, *(spread([r[k] for r in same]) for k in ("listed", "recall", "precision", "first"))]
        for (data,), same in grouped(rows, "data").items()
    ]
    return table(
        [
            "data",
            "listed",
            "of the wrong ones listed, %",
            "of those listed wrong, %",
            "of the first 100 wrong, %",
        ],
        lines,
    )


def strange_table(rows: list[dict]) -> str:
    found = grouped(rows, "what", "data")
    names = list(dict.fromkeys(row["data"] for row in rows))
    lines = []
    for what in dict.fromkeys(row["what"] for row in rows):
        cells = [found.get((what, name), [None])[0] for name in names]
        told = ["" if c is None else _strange(c) for c in cells]
        lines.append([what, *told])
    return table(["asked", *(f"learned from {name}" for name in names)], lines)


def _strange(row: dict) -> str:
    together = f"{row['shift']:.2f}" if row["shift"] else "-"
    return f"{row['area']:.2f} / {row['flagged']:.0f} / {together}"


PARTS = {
    "few": few,
    "promise": promise,
    "strange": strange,
    "suggest": suggest,
    "suspects": wrong_labels,
    "forget": forget,
}
TABLES = {
    "few": (
        "Few labels",
        f"Test accuracy in per cent, {DRAWS} draws (the convnet: 2), the same draws for all. All "
        "but the convnet know the unlabelled images too: by PCA, patches, or the run.",
        few_table,
    ),
    "promise": (
        "Do sets hold what they promise?",
        "Share of examples whose set holds the right label: labels and examples drawn at random "
        f"from the training part, {DRAWS} draws of each data set. It is promised on average, "
        "for examples like the labelled ones.",
        promise_table,
    ),
    "strange": (
        "Unlike what was learned from",
        "Area under the curve between the test part as it is and what is asked / per cent called "
        "unlike all that was learned from (`typical` below .01, which should be one in a hundred "
        "of the test part) / how far all together are from what was learned from (- where that is "
        "not called a shift). Noise, blur, rotation and brightness at two of five strengths; test "
        "parts of the other data sets.",
        strange_table,
    ),
    "suggest": (
        "Which examples to label",
        f"Test accuracy by number of labels, {SEEDS} seeds; the same heads.",
        suggest_table,
    ),
    "suspects": (
        "Doubtful labels",
        f"1,000 labels, 100 of them replaced by wrong ones, {DRAWS} seeds.",
        suspects_table,
    ),
    "forget": (
        "New skill beside old",
        "A small convnet trained without labels on 20,000 images of clothes; then on 1,000 "
        "labelled photographs in grey (new), 300 steps. Old: the head for clothes, which stays as "
        "it is, on the features that moved.",
        forget_table,
    ),
}

if __name__ == "__main__":
    run_parts(__doc__, PARTS, headed("Few labels, and what is kept", "finetune.py"), TABLES)
