"""Fine-tuning on few labels: a head on a run's features, and what it says of other data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import Head, Terms, chosen_head, margin
from stepwell.encoders.words.encoder import spans_of
from stepwell.interfaces import Batch, Row, StepwellError, UsageError, concatenate
from stepwell.kit.files import lock, lock_of
from stepwell.kit.parts import save_part
from stepwell.kit.texts import column_of
from stepwell.labels import label_source, named
from stepwell.run import Run

EMBEDDING, FEATURES, WORDS = "embedding", "features", "words"
LIGHT = "features, lightly"
"""A third as long: beside words that many labels tell of."""
CANDIDATES: dict[str, list[tuple[str, ...]]] = {
    "text": [(FEATURES, WORDS), (WORDS,), (FEATURES,), (EMBEDDING,), (LIGHT, WORDS)],
    "": [(EMBEDDING,), (FEATURES,)],
}
"""What a head may read, by kind of data; the first is taken where nothing speaks against it."""
UNLABELLED, SIGNS = 10_000, 2000
"""Texts that terms are weighted by, from the first to the last, and signs of each, at most."""
SPOKEN = 3
"""Words that are named for a prediction."""
ASKED = 60
"""Words of a text that are left out, one at a time, to see what they say; the first ones."""


def finetune(run: Run, labels: Any, *, seed: int = 0) -> dict[str, Any]:
    """Learn to tell labels, from as few as there are; the run keeps the head.

    Parameters
    ----------
    labels : path, array, Source or mapping
        As for :meth:`Run.evaluate`.

    Returns
    -------
    dict
        ``classes``, ``labelled`` examples, ``unmatched`` labels, ``tried`` heads.

    Raises
    ------
    UsageError
        If there are fewer than two classes.
    """
    source, known, unmatched = label_source(run, labels)
    parts = list(source.batches(run.chunk, ids=set(known)))
    if not parts:
        raise UsageError(
            f"Expected labelled examples, found none that can be read in {named(labels)}."
        )
    batch = concatenate(parts)
    terms = terms_of(run, _texts(batch)) if "text" in batch.data else None
    told = [known[str(name)] for name in batch.ids]
    kind = "text" if terms is not None else ""
    features = features_of(run, batch, terms)
    groups = [str(group) for group in batch.group]
    head, tried = chosen_head(features, told, groups, CANDIDATES[kind], seed=seed)
    with lock(lock_of(run.path), str(run.path)):
        _replace(run.path / "parts" / Head.name, head)
        if terms is not None:
            _replace(run.path / "parts" / Terms.name, terms)
    found = {"classes": list(head.classes), "labelled": len(batch), "unmatched": unmatched}
    return found | {"tried": tried}


def terms_of(run: Run, labelled: Sequence[str]) -> Terms:
    """Terms of what the run learned from, where that is still there, and of labelled texts: a few
    labelled ones alone do not tell which words are rare."""
    texts, ids = list(labelled), run.index[0]
    some = set(ids[:: max(1, -(-len(ids) // UNLABELLED))].tolist())
    with suppress(StepwellError, OSError):
        for batch in run.own_source().batches(run.chunk, ids=some):
            texts += [text[:SIGNS] for text in _texts(batch)]
    return Terms().fit(texts)


def _replace(folder: Path, part: Any) -> None:
    """Write a part anew; the one before stays until this one is whole."""
    draft, old = (folder.with_name(f".{folder.name}.{uuid4().hex}") for _ in range(2))
    save_part(draft, part, part.name)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def features_of(run: Run, batch: Batch, terms: Terms | None) -> dict[str, Any]:
    """All that a head may read of examples: (n, ·) each, of length 1; 0 where an encoder finds
    nothing in one that it knows, so that nothing speaks for any label."""
    features = np.asarray(run.encoder.embed(batch), np.float32)
    known = features.any(1, keepdims=True).astype(np.float32)
    found: dict[str, Any] = {EMBEDDING: _unit(known * np.asarray(run.map(features), np.float32))}
    found[FEATURES] = _unit(known * (features - np.asarray(run.map.quantiser.mean, np.float32)))
    found[LIGHT] = found[FEATURES] / 3
    return found | ({WORDS: terms(_texts(batch))} if terms is not None else {})


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1), np.float32)


def _texts(batch: Batch) -> list[str]:
    return [str(text) for text in batch.data["text"]]


def predict(run: Run, src: Any, *, why: bool = False) -> Iterator[Row]:
    """What a run's head says of examples.

    Parameters
    ----------
    src : path, array or Source
        Of the kind that the run was learned from.
    why : bool
        Of texts: name the words that spoke for it, those without which it would be less sure.

    Yields
    ------
    row
        ``id``, ``label``, ``probability``; ``shares``, of all classes; ``words`` with what
        the logarithm of the odds would lose without each.

    Raises
    ------
    UsageError
        If the run was not fine-tuned.
    """
    if not run.has(Head.name):
        raise UsageError(
            f"Expected a run that was fine-tuned, found {run.path} without labels: `stepwell "
            f"finetune {run.path} --labels LABELS`."
        )
    head: Head = run.part(Head.name)
    terms = run.part(Terms.name) if run.has(Terms.name) else None
    return _predicted(run, run.open(src), head, terms, why)


def _predicted(run: Run, source: Any, head: Head, terms: Any, why: bool) -> Iterator[Row]:
    for batch in source.batches(run.chunk):
        shares = head(features_of(run, batch, terms))
        for row, (name, own) in enumerate(zip(batch.ids, shares, strict=True)):
            best = int(own.argmax())
            found: Row = {"id": str(name), "label": head.classes[best]}
            found |= {"probability": float(own[best])}
            found |= {"shares": dict(zip(head.classes, map(float, own), strict=True))}
            if why and terms is not None:
                one = batch.take(np.array([row]))
                found |= {"words": spoken(run, one, head, terms, best)}
            yield found


def spoken(run: Run, one: Batch, head: Head, terms: Terms, label: int) -> list[tuple[str, float]]:
    """Words of a text without which a label would be less likely, the weightiest first."""
    (text,) = _texts(one)
    places: dict[str, list[Any]] = {}
    for match in spans_of(text):
        if match.group().isalnum():
            places.setdefault(match.group().lower(), []).append(match)
    words = list(places)[:ASKED]
    without = [text, *(_without(text, places[word]) for word in words)]
    batch = one.take(np.zeros(len(without), np.intp)).with_data(text=column_of(without))
    sure = margin(head.scores(features_of(run, batch, terms)) / head.heat, label)
    lost = [(word, float(sure[0] - rest)) for word, rest in zip(words, sure[1:], strict=True)]
    return [each for each in sorted(lost, key=lambda each: -each[1]) if each[1] > 0][:SPOKEN]


def _without(text: str, places: Sequence[Any]) -> str:
    for place in reversed(places):
        text = text[: place.start()] + text[place.end() :]
    return text
