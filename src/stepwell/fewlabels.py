"""How well the head that fine-tuning would fit tells labels, from few of them to all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.contestants import ALONE, OURS
from stepwell.evaluate.probe import BUDGETS, draw, estimate
from stepwell.features import EMBEDDING, FEATURES, with_words
from stepwell.fitting import fitted_head, unlabelled
from stepwell.interfaces import Row
from stepwell.kit.nearest import unit
from stepwell.run import Run

FITTED = "stepwell finetune"
DRAWS = 3
"""Of each number of labels: a head takes seconds."""
MOST = 2000
"""Labels that a head is fitted to here, at most: with more, what is measured takes minutes."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled examples, by what is compared on them.

    Attributes
    ----------
    features : mapping of contestant to (n, ·)
    labels, groups, ids : (n,) str
    texts : (n,) str, optional
        Where they are texts.
    """

    features: dict[str, NDArray]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    ids: NDArray[np.str_]
    texts: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray) -> Labelled:
        """Some of them."""
        return replace(
            self,
            features={name: each[rows] for name, each in self.features.items()},
            labels=self.labels[rows],
            groups=self.groups[rows],
            ids=self.ids[rows],
            texts=None if self.texts is None else self.texts[rows],
        )


def head_scores(run: Run, bank: Labelled, queries: Labelled, seed: int) -> dict[str, Any]:
    """Accuracy of the head, with its balanced form, by labels a class; and what the head of the
    most labels takes for what.

    Returns
    -------
    dict
        ``rows``: of each number of ``labels`` a class ``value``, ``low``, ``high`` and
        ``balanced``, per cent; ``confusion``: ``labels``, ``classes``, and ``counts``, a row a
        true class, a column a told one.
    """
    known, asked = (_readable(run, each, bank.texts) for each in (bank, queries))
    pool = unlabelled(run, {*map(str, bank.ids), *map(str, queries.ids)})
    classes, target = np.unique(bank.labels, return_inverse=True)
    rng, rows, confusion = np.random.default_rng(seed), [], {}
    for budget in BUDGETS:
        if budget is not None and (
            budget > np.bincount(target).max() or budget * len(classes) > MOST
        ):
            continue
        if budget is None and len(bank) > MOST:
            continue
        drawn = [np.arange(len(bank))]
        if budget is not None:
            drawn = [draw(target, budget, rng) for _ in range(DRAWS)]
        told = np.stack([_told(bank, known, asked, rows, pool, seed) for rows in drawn])
        rows.append(_row(told, queries.labels, budget or "all"))
        confusion = _confusion(told[-1], queries.labels, classes, budget or "all")
    return {"rows": rows, "confusion": confusion}


def _readable(run: Run, side: Labelled, texts: NDArray[np.object_] | None) -> dict[str, Any]:
    """What a head may read of them."""
    found: dict[str, Any] = {EMBEDDING: unit(side.features[OURS])}
    found[FEATURES] = unit(side.features[ALONE])
    if texts is None or side.texts is None:
        return found
    return with_words(found, run, list(texts), list(side.texts))


def _told(
    bank: Labelled, known: Any, asked: Any, rows: NDArray[np.intp], pool: NDArray, seed: int
) -> NDArray[np.str_]:
    """The class that a head of some labels gives each example."""
    some = {name: each[rows] for name, each in known.items()}
    labels, groups = bank.labels[rows].tolist(), bank.groups[rows].tolist()
    head = fitted_head(some, labels, groups, pool, seed).head
    return np.asarray(head.classes)[head(asked).argmax(1)]


def _row(told: NDArray[np.str_], truth: NDArray[np.str_], labels: Any) -> Row:
    hits = told == truth
    each = [100 * float(hits[:, truth == name].mean()) for name in np.unique(truth)]
    row = {"name": FITTED, "role": "ours", "labels": labels, **estimate(hits).as_dict()}
    return row | {"balanced": round(float(np.mean(each)), 2)}


def _confusion(
    told: NDArray[np.str_], truth: NDArray[np.str_], classes: NDArray[np.str_], labels: Any
) -> dict[str, Any]:
    counts = [[int(np.sum((truth == a) & (told == b))) for b in classes] for a in classes]
    return {"labels": labels, "classes": classes.tolist(), "counts": counts}
