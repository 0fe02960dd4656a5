"""Scores beside their controls, on one protocol: with labels, and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell import recording
from stepwell.adapt import LeftOut
from stepwell.contestants import OURS, Contestants, with_components
from stepwell.evaluate.intervals import paired_draws
from stepwell.evaluate.pretrained import Frozen
from stepwell.evaluate.probe import BUDGETS, estimate, hits_of
from stepwell.evaluate.verdict import labelled_verdict
from stepwell.features import texts_of
from stepwell.fewlabels import Labelled, head_scores
from stepwell.interfaces import UsageError
from stepwell.kit.files import lock, lock_of
from stepwell.kit.hashing import fifth_of
from stepwell.labels import is_table, label_source, named, none_read
from stepwell.run import Run
from stepwell.runfile import scores_of, untrained

PRETRAINED = "frozen pretrained"
FEW = 5
"""Labels a class that a verdict is about beside all labels."""
FEWEST = 2
"""Examples that labels are judged on, at least."""


def evaluate(
    run: Run, labels: Any, test: Any = None, *, seed: int = 0, pretrained: Any = None
) -> dict[str, Any]:
    """kNN and linear probe at 1, 5, 10, 50 and all labels a class, beside the controls.

    Parameters
    ----------
    labels : path, array, Source or mapping
        Labelled examples: a source whose folders (or label column) name the classes, a
        CSV of ``file,label`` for files of the run's source, or {id: label}.
    test : same, optional
        The test set. None: a fifth of the labelled groups, by hash.
    pretrained : path, optional
        ONNX file of a pretrained network: a fifth control.

    Returns
    -------
    dict
        Also merged into ``scores.json``.
    """
    contestants = Contestants(run, seed)
    frozen = Frozen(pretrained) if pretrained is not None else None
    roles = contestants.roles | ({PRETRAINED: "control"} if frozen is not None else {})
    known, left = _labelled(run, labels, contestants, frozen)
    more = LeftOut()
    if test is None:
        held = fifth_of(seed, known.groups)
        known, asked = known.take(~held), known.take(held)
    else:
        asked, more = _labelled(run, test, contestants, frozen)
    truth = asked.labels
    classes, known_rows = np.unique(known.labels, return_inverse=True)
    if len(classes) < 2 or len(truth) == 0:
        why = " ".join(left.lines())
        raise UsageError(
            f"Expected at least two classes and a test set, found {len(classes)} of them and "
            f"{len(truth)} examples to test on in {named(labels)}. {why}".rstrip()
        )
    place = {label: i for i, label in enumerate(classes)}
    target = np.array([place.get(label, -1) for label in truth])
    if len(truth) < FEWEST or not (target >= 0).any():
        raise UsageError(
            f"Expected at least {FEWEST} examples to test on, of classes that others have too; "
            f"found {len(truth)}, and {len(classes)} classes among {len(known)} others: label "
            f"more, or give a test set."
        )
    bank, queries = with_components(known.features, asked.features, run.map.width)
    scores, hits = _table(roles, bank, known_rows, queries, target, seed)
    few = max((n for n in hits if n != "all" and n <= FEW), default="all")
    gaps = {
        labels: {
            name: paired_draws(hits[labels][OURS], hits[labels][name]).as_dict()
            for name in roles
            if name != OURS
        }
        for labels in dict.fromkeys(("all", few))
    }
    head = head_scores(run, known, asked, seed)
    verdict = labelled_verdict(scores, gaps, _headline(head["rows"]))
    verdict["sentence"] = untrained(run.config) + verdict["sentence"]
    result = {
        "labelled": scores,
        "head": head["rows"],
        "confusion": head["confusion"],
        "ours_minus": gaps["all"],
        "ours_minus_few": {"labels": few, **gaps[few]},
        "classes": len(classes),
        "bank": len(known),
        "test": len(truth),
        "unmatched": left.unmatched,
        "left_out": [*left.lines(), *(f"test set: {line}" for line in more.lines())],
        "read": left.how,
        "verdict": verdict,
        **({"pretrained": frozen.how} if frozen is not None else {}),
    }
    with lock(lock_of(run.path), str(run.path)):
        recording.write_scores(run.path, result)
        recording.write_card(run)  # it quotes the verdict
    return result


def _headline(head: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the most labels, and of few."""
    few = [row for row in head[:-1] if row["labels"] == FEW]
    return [*head[-1:], *few]


def _table(
    roles: Mapping[str, str],
    bank: dict[str, NDArray],
    labels: NDArray[np.intp],
    queries: dict[str, NDArray],
    truth: NDArray[np.intp],
    seed: int,
) -> tuple[list[dict[str, Any]], dict[Any, dict[str, NDArray[np.bool_]]]]:
    """One row a contestant, reader and number of labels; and what kNN told, by number and name."""
    largest = int(np.bincount(labels).max())
    rows: list[dict[str, Any]] = []
    told: dict[Any, dict[str, NDArray[np.bool_]]] = {}
    for name, role in roles.items():
        known = bank[name].astype(np.float32)
        asked = queries[name].astype(np.float32)
        for reader in ("knn", "probe"):
            for budget in BUDGETS:
                if budget is not None and budget > largest:
                    continue
                hits = hits_of(reader, known, labels, asked, truth, budget, seed)
                what = {"name": name, "role": role, "reader": reader, "labels": budget or "all"}
                rows.append({**what, **estimate(hits).as_dict()})
                if reader == "knn":
                    told.setdefault(budget or "all", {})[name] = hits
    return rows, told


def _labelled(
    run: Run, labels: Any, contestants: Contestants, frozen: Frozen | None
) -> tuple[Labelled, LeftOut]:
    """Features of all contestants for labelled examples, and what of the labels was left out."""
    source, known, left = label_source(run, labels)
    parts: list[dict[str, NDArray]] = []
    ids: list[str] = []
    groups: list[str] = []
    texts: list[str] = []
    seen: list[NDArray[np.bool_]] = []
    for batch in source.batches(run.chunk, ids=set(known)):
        encoded = run.encoder.embed(batch)
        seen.append(np.asarray(np.any(encoded, axis=1)))
        features = contestants.of(batch, encoded)
        parts.append({name: _small(value) for name, value in features.items()})
        ids += map(str, batch.ids)
        groups += [str(g) for g in batch.group]
        texts += texts_of(batch) if "text" in batch.data else []
    if not parts:
        raise none_read(labels)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if frozen is not None:
        joined[PRETRAINED] = _by_pretrained(run, labels, frozen, ids)
    told = np.array([known[i] for i in ids])
    words = np.array(texts, object) if texts else None
    names = np.array(groups), np.array(ids)
    return Labelled(joined, told, *names, np.concatenate(seen), words), left


def _by_pretrained(run: Run, labels: Any, frozen: Frozen, ids: list[str]) -> NDArray:
    """(n, d) features of a pretrained network, which sees images as large as it takes."""
    canvas = max(frozen.side, int(run.config["source"].get("options", {}).get("canvas") or 0))
    table = is_table(labels, run.config["source"].get("path"))
    source = run.own_source(canvas) if table else run.open(labels, canvas=canvas)
    found: dict[str, NDArray] = {}
    for batch in source.batches(run.chunk, ids=set(ids)):
        found |= zip(map(str, batch.ids), frozen(batch), strict=True)
    return np.stack([found[i] for i in ids])


def _small(features: NDArray) -> NDArray:
    """Half precision, unless it would lose whole numbers: pixels and unit vectors fit."""
    return features.astype(np.float16) if np.abs(features).max(initial=0) <= 1024 else features


def read_scores(run: Run) -> dict[str, Any]:
    """``scores.json``, or an empty dict."""
    return scores_of(run.path)
