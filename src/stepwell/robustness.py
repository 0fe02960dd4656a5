"""How a run fares on examples that are noisy, blurred, turned or dark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell import recording
from stepwell.contestants import OURS, Contestants
from stepwell.evaluate.corruptions import STRENGTHS, Change, corruptions_of
from stepwell.evaluate.neighbours import knn_votes, similar
from stepwell.interfaces import Batch, Observer, Row, UsageError, ignore
from stepwell.kit.files import lock, lock_of
from stepwell.kit.hashing import fifth_of
from stepwell.labels import labelled_batch, named
from stepwell.run import Run

COMPARED = (OURS, "whitening only", "raw input")
"""Whitening has the same features, learned from without augmented views."""
BANK, ASKED = 5000, 1000
"""Labelled examples that are compared with, and that are made worse, at most."""
NEIGHBOURS = 20


def robustness(
    run: Run, labels: Any, test: Any = None, *, seed: int = 0, observe: Observer = ignore
) -> list[Row]:
    """Accuracy and confidence of kNN as test examples get worse.

    Parameters
    ----------
    labels, test : as for :meth:`Run.evaluate`
    seed : int

    Returns
    -------
    list of row
        ``change``, ``strength`` (0, as they are, to 5), ``name``, ``accuracy`` and
        ``confidence`` (mean share of the votes for what was told), in per cent. Also merged into
        ``scores.json``.

    Raises
    ------
    UsageError
        For a kind of data without such changes, or labels of one class.
    """
    changes = changes_of(run)
    known, asked = _sides(run, labels, test, seed)
    contestants = Contestants(run, seed)
    names = [name for name in COMPARED if name in contestants.roles]
    bank = _features(contestants, known[0], names, run.chunk)
    classes, place = np.unique(known[1], return_inverse=True)
    truth = np.array([int(np.searchsorted(classes, label)) for label in asked[1]])
    truth[~np.isin(asked[1], classes)] = -1
    rows: list[Row] = []
    of, done = len(changes) * STRENGTHS, 0
    told = partial(_told, contestants, asked[0], names, run.chunk, bank, place, truth)
    plain = told(None)
    for change, apply in changes.items():
        rows += [{"change": change, "strength": 0, **row} for row in plain]
        for strength in range(STRENGTHS):
            found = told(lambda some, a=apply, s=strength: a(some, s, seed))
            rows += [{"change": change, "strength": strength + 1, **row} for row in found]
            done += 1
            observe("robust", {"done": done, "of": of})
    with lock(lock_of(run.path), str(run.path)):
        recording.write_scores(run.path, {"robustness": rows})
    return rows


def changes_of(run: Run) -> Mapping[str, Change]:
    """What makes examples of its kind worse.

    Raises
    ------
    UsageError
        Where nothing does.
    """
    kind = run.config["source"]["kind"]
    found = corruptions_of(kind)
    if not found:
        raise UsageError(f"Expected images or texts to make worse, found {kind}: no --robust.")
    return found


def _sides(run: Run, labels: Any, test: Any, seed: int) -> tuple[Any, Any]:
    """Examples to compare with, and to be made worse, each with their labels."""
    batch, told = _labelled(run, labels)
    if test is not None:
        sides = [(batch, told), _labelled(run, test)]
    else:
        held = fifth_of(seed, [str(g) for g in batch.group])
        sides = [(batch.take(np.flatnonzero(rows)), told[rows]) for rows in (~held, held)]
    if len(np.unique(sides[0][1])) < 2 or not len(sides[1][1]):
        raise UsageError(
            f"Expected labels of two classes or more, and some to test on, found too few in "
            f"{named(labels)}: label more."
        )
    found = []
    for (some, own), most in zip(sides, (BANK, ASKED), strict=True):
        rows = np.sort(np.random.default_rng(seed).permutation(len(own))[:most])
        found.append((some.take(rows), own[rows]))
    return found[0], found[1]


def _labelled(run: Run, labels: Any) -> tuple[Batch, NDArray[np.str_]]:
    batch, told, _ = labelled_batch(run, labels, 2 * (BANK + ASKED))
    return batch, np.array(told)


def _features(
    contestants: Contestants, batch: Batch, names: list[str], chunk: int, change: Any = None
) -> dict[str, NDArray]:
    parts = []
    for start in range(0, len(batch), chunk):  # no more than that is changed at once
        some = batch.take(slice(start, start + chunk))
        parts.append(contestants(some if change is None else change(some)))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _told(
    contestants: Contestants,
    asked: Batch,
    names: list[str],
    chunk: int,
    bank: dict[str, NDArray],
    labels: NDArray[np.intp],
    truth: NDArray[np.intp],
    change: Any,
) -> list[Row]:
    """Accuracy and confidence of each contestant."""
    queries, found = _features(contestants, asked, names, chunk, change), []
    for name in names:
        near, cosine = similar(queries[name], bank[name], min(NEIGHBOURS, len(labels)))
        votes = knn_votes(near, cosine, labels)
        share = votes / np.maximum(votes.sum(1, keepdims=True), 1e-12)
        right = 100 * float((share.argmax(1) == truth).mean())
        found.append({"name": name, "accuracy": right, "confidence": 100 * share.max(1).mean()})
    return found
