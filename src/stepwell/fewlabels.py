"""How well the head that fine-tuning would fit tells labels, from few of them to all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import Terms, too_many_classes
from stepwell.contestants import ALONE, OURS
from stepwell.evaluate.probe import BUDGETS, draw, estimate
from stepwell.features import WORDS, readable, terms_of
from stepwell.fitting import fitted_head, unlabelled
from stepwell.interfaces import Row
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
    known : (n,) bool
        Whether the encoder finds anything in them.
    texts : (n,) str, optional
        Where they are texts.
    """

    features: dict[str, NDArray]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    ids: NDArray[np.str_]
    known: NDArray[np.bool_]
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
            known=self.known[rows],
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
    terms = None if bank.texts is None else terms_of(run, list(bank.texts))
    known, asked = (_readable(each, terms) for each in (bank, queries))
    classes, target = np.unique(bank.labels, return_inverse=True)
    rng, rows, confusion = np.random.default_rng(seed), [], {}
    for budget in BUDGETS:
        drawn = _draws(target, budget, rng)
        if not drawn or too_many_classes(len(classes), len(drawn[0])):
            continue
        told = []
        for some in drawn:
            pool = unlabelled(run, {*map(str, bank.ids[some]), *map(str, queries.ids)})
            told.append(_told(bank, known, asked, some, pool, seed))
        rows.append(_row(np.stack(told), queries.labels, budget or "all"))
        confusion = _confusion(told[-1], queries.labels, classes, budget or "all")
    return {"rows": rows, "confusion": confusion}


def _draws(
    target: NDArray[np.intp], budget: int | None, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Rows of labels, several times; none where there are too few, or it would take too long."""
    count = np.bincount(target)
    if budget is None:
        return [np.arange(len(target))] if len(target) <= MOST else []
    if budget > count.max() or budget * len(count) > MOST:
        return []
    return [draw(target, budget, rng) for _ in range(DRAWS)]


def _readable(side: Labelled, terms: Terms | None) -> dict[str, Any]:
    """What a head may read of them."""
    found = readable(side.known, side.features[OURS], side.features[ALONE])
    if terms is None or side.texts is None:
        return found
    return found | {WORDS: terms(list(side.texts))}


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
    place = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), int)
    pairs = [(place[a], place[b]) for a, b in zip(truth, told, strict=True) if a in place]
    np.add.at(counts, tuple(np.array(pairs, int).reshape(-1, 2).T), 1)
    return {"labels": labels, "classes": classes.tolist(), "counts": counts.tolist()}
