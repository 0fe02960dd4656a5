"""Which head: features and rule are chosen by what they say of labels that are held back."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.calibrate import heat_of, shares
from stepwell.adapt.head import HELD, Features, Head, Held, beside
from stepwell.adapt.propagate import AFTER, Spread
from stepwell.adapt.rules import Rule, Scorer, rule_of
from stepwell.interfaces import Row, UsageError

FOLDS = 5
SURE = 2.0
"""Standard errors of the difference that something else has to be better by: with few labels chance
decides otherwise. On held-out training sentences of SST-2 taking the best of all told 0.3 per cent
less with 10 labels a class, and 1.0 less with 50."""
PROPAGATED = "propagated"
MOST = 100
"""Classes from which on most must have more than one or two labels."""


@dataclass(frozen=True)
class Candidate:
    """What a head may read, and how it is learned: a rule, or ``"propagated"``."""

    reads: tuple[str, ...]
    how: str = "logistic"


@dataclass(frozen=True, eq=False)
class _Tried:
    """A candidate at its best strength: held-out scores, and how surprising labels were."""

    strength: float
    scores: NDArray[np.float64]
    losses: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chosen:
    """A head, and how it was chosen.

    Attributes
    ----------
    head : Head
    rows : list of row
        Of each candidate ``reads``, ``how``, ``strength``, ``loss`` (nats a label) and
        ``accuracy`` by cross-validation; ``chosen``.
    truth : (n,) int
        Classes of the labelled examples, by their place in ``head.classes``.
    shares : (j, c), optional
        What was said of some while their labels were held back; None where labels are too few.
    judged : (j,) int
        Which they are.
    """

    head: Head
    rows: list[Row]
    truth: NDArray[np.intp]
    shares: NDArray[np.float64] | None = None
    judged: NDArray[np.intp] | None = None


class _Labelled:
    """Labelled examples that candidates are fitted to."""

    def __init__(self, features: Features, truth: NDArray[np.intp], pool: Any) -> None:
        self.truth = truth
        self._features, self._pool = features, pool
        self._spread: Spread | None = None

    def fitted(self, candidate: Candidate, rows: NDArray[np.intp], strength: float) -> Scorer:
        if candidate.how == PROPAGATED:
            if self._spread is None:  # one graph serves all folds and strengths
                self._spread = Spread(self._features[candidate.reads[0]], self._pool)
            return self._spread.fit(self.truth, rows, strength)
        x = self._read(candidate, rows)
        return rule_of(candidate.how).fit(x, self.truth[rows], strength)

    def scores(self, candidate: Candidate, scorer: Scorer, rows: NDArray[np.intp]) -> Any:
        return scorer(self._read(candidate, rows))

    def _read(self, candidate: Candidate, rows: NDArray[np.intp]) -> Any:
        some = {name: self._features[name][rows] for name in candidate.reads}
        return beside(some, candidate.reads)


def chosen_head(
    features: Features,
    labels: Sequence[str],
    groups: Sequence[str],
    candidates: Sequence[Candidate],
    *,
    pool: NDArray | None = None,
    seed: int = 0,
) -> Chosen:
    """The head that tells held-out labels best.

    Parameters
    ----------
    features : mapping of name to (n, ·)
    labels, groups : (n,) str
        No group is in two folds.
    candidates : sequence of Candidate
        The first is taken unless another is better by more than chance, :data:`SURE`.
    pool : (m, k), optional
        Embeddings of examples without labels, to propagate among.

    Returns
    -------
    Chosen

    Raises
    ------
    UsageError
        If there are fewer than two classes.
    """
    names, truth = _classes_of(labels)
    given = _Labelled(features, truth, pool)
    asked, candidates = candidates, [c for c in candidates if _possible(c, len(truth), pool)]
    if not candidates:
        raise UsageError(_why_not(asked[0], len(truth), pool))
    folds = folds_of(truth, np.asarray(groups), seed)
    if not folds:
        return _unjudged(given, candidates[0], names)
    tried = [_best(given, candidate, folds) for candidate in candidates]
    best = surest([each.losses for each in tried])
    found, chosen = tried[best], candidates[best]
    judged = np.concatenate([asked for _, asked in folds])
    heat = heat_of(found.scores, truth[judged])
    scorer = given.fitted(chosen, np.arange(len(truth)), found.strength)
    said = shares(found.scores / heat)
    held = held_of(said, truth[judged], np.delete(truth, judged), seed)
    head = Head(chosen.reads, chosen.how, names, scorer, heat, held)
    rows = [
        _row(candidate, each.strength, i == best)
        | {
            "loss": float(each.losses.mean()),
            "accuracy": float((each.scores.argmax(1) == truth[judged]).mean()),
        }
        for i, (candidate, each) in enumerate(zip(candidates, tried, strict=True))
    ]
    return Chosen(head, rows, truth, said, judged)


def _classes_of(labels: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Names of classes, and the class of each label."""
    classes, truth = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise UsageError(
            f"Expected labels of two classes or more, found {len(truth):,} of one, "
            f"{str(classes[0])!r}: label some that are something else."
        )
    if too_many_classes(len(classes), len(truth)):
        raise UsageError(
            f"Expected classes of several examples each, found {len(classes):,} classes of "
            f"{len(truth):,} labels, such as {str(classes[0])!r}: labels are names of classes, not "
            f"numbers to foretell."
        )
    return tuple(map(str, classes)), truth


def too_many_classes(classes: int, labels: int) -> bool:
    """Whether labels look like numbers to foretell, or names of single examples."""
    return classes > MOST and 2 * classes > labels


def _unjudged(given: _Labelled, first: Candidate, names: tuple[str, ...]) -> Chosen:
    """The first candidate as it is, where no label can be held back."""
    rule = _rule_of(first)
    strength = rule.strengths[0]
    scorer = given.fitted(first, np.arange(len(given.truth)), strength)
    head = Head(first.reads, first.how, names, scorer, rule.heat)
    return Chosen(head, [_row(first, strength, True)], given.truth)


def _row(candidate: Candidate, strength: float, chosen: bool) -> Row:
    what = {"reads": list(candidate.reads), "how": candidate.how}
    return what | {"strength": strength, "chosen": chosen}


def held_of(
    said: NDArray[np.float64], truth: NDArray[np.intp], never: NDArray[np.intp], seed: int
) -> Held:
    """What sets rest on. Classes whose only example was never held back (``never``) count as not
    told at all: there will be others of them, and nothing is known of these."""
    missed = np.ones((len(never), said.shape[1]))
    missed[np.arange(len(never)), never] = 0
    shares_, labels = np.concatenate([said, missed / missed.sum(1, keepdims=True)]), [truth, never]
    some = np.random.default_rng(seed).permutation(len(shares_))[:HELD]
    return Held(shares_[some].astype(np.float32), np.concatenate(labels)[some])


def _why_not(asked: Candidate, examples: int, pool: NDArray | None) -> str:
    if asked.how == PROPAGATED:
        others = 0 if pool is None else len(pool)
        return (
            f"Expected more examples without a label than with one, to spread {examples:,} labels "
            f"among, found {others:,}: leave the rule out."
        )
    return (
        f"Expected {_rule_of(asked).most:,} labels at most for the rule {asked.how}, found "
        f"{examples:,}: leave the rule out, or give fewer."
    )


def _possible(candidate: Candidate, examples: int, pool: NDArray | None) -> bool:
    if candidate.how == PROPAGATED and (pool is None or len(pool) <= examples):
        return False
    most = _rule_of(candidate).most
    return most is None or examples <= most


def _rule_of(candidate: Candidate) -> Rule:
    return AFTER if candidate.how == PROPAGATED else rule_of(candidate.how)


def folds_of(truth: NDArray[np.intp], groups: NDArray, seed: int) -> list[Any]:
    """Rows to learn from and to judge by. The only group of a class is always learned from; none
    where all classes have but one."""
    from sklearn.model_selection import StratifiedGroupKFold

    counts = [len(np.unique(groups[truth == c])) for c in range(truth.max() + 1)]
    several = np.flatnonzero(np.array(counts)[truth] > 1)
    if not len(several):
        return []
    count = min(FOLDS, max(counts))
    split = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer groups than folds
        parts = list(split.split(several, truth[several], groups[several]))
    found = [np.setdiff1d(np.arange(len(truth)), several[asked]) for _, asked in parts]
    if any(len(np.unique(truth[known])) <= truth.max() for known in found):
        return []
    return [(known, several[asked]) for known, (_, asked) in zip(found, parts, strict=True)]


def _best(given: _Labelled, candidate: Candidate, folds: list[Any]) -> _Tried:
    """The best strength of a candidate, on what is judged by."""
    judged = np.concatenate([asked for _, asked in folds])
    truth, found = given.truth[judged], []
    for strength in _rule_of(candidate).strengths:
        parts = []
        for known, asked in folds:
            scorer = given.fitted(candidate, known, strength)
            parts.append(given.scores(candidate, scorer, asked))
        scores = np.concatenate(parts)
        told = shares(scores / heat_of(scores, truth))[np.arange(len(truth)), truth]
        found.append(_Tried(strength, scores, -np.log(told + 1e-12)))
    return found[surest([each.losses for each in found])]


def surest(losses: Sequence[NDArray[np.float64]]) -> int:
    """The first of several, or one that is better than it, and than those between, for sure."""
    best = 0
    for i, other in enumerate(losses):
        better = losses[best] - other
        if better.mean() > SURE * better.std() / len(better) ** 0.5:
            best = i
    return best
