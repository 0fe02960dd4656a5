"""What a run's head says of other examples, how sure it is, and when it had better not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import (
    COVERAGE,
    Head,
    Sets,
    Terms,
    check_coverage,
    least_sure,
    margin,
    usual_sets,
)
from stepwell.encoders.words.encoder import spans_of
from stepwell.evaluate.strangeness import Typical, Usual, shift
from stepwell.features import EMBEDDING, features_of, made_of, texts_of
from stepwell.heads import ADAPTED, head_generation, head_of, part_of
from stepwell.interfaces import Batch, Row, StepwellError, UsageError
from stepwell.kit.texts import column_of
from stepwell.run import Run

STRANGE = 0.01
"""Below this share of examples that are as strange, one is called unlike all that is known."""
SPOKEN = 3
"""Words that are named for a prediction."""
ASKED = 60
"""Words of a text that are left out, one at a time, to see what they say; the first ones."""


def predict(
    run: Run, src: Any, *, why: bool = False, coverage: float | None = None
) -> Iterator[Row]:
    """What a run's head says of examples.

    Parameters
    ----------
    src : path, array or Source
        Of the kind that the run was learned from.
    why : bool
        Of texts: name the words that spoke for it, those without which it would be less sure.
    coverage : float, optional
        How often ``set`` holds the right label, on average over examples like the labelled ones;
        default .9, where there are labels enough for it.

    Yields
    ------
    row
        ``id``, ``label``, ``probability``; ``shares``, of all classes; ``set``, the labels it may
        have, None where there are too few labels to promise anything; ``typical``, the share of
        learned examples that are as unlike the others or more so (of all :func:`together`);
        ``abstain``: empty, or why it had better not be believed, so that of the others about
        a share 1 - ``coverage`` is wrong, at most. ``words`` with what the logarithm of the odds
        would lose without each.

    Raises
    ------
    UsageError
        If the run was not fine-tuned, or on too few labels for the coverage asked for.
    """
    return _predicted(run.open(src), run.chunk, teller_of(run, coverage), why)


def of_files(run: Run, paths: Sequence[Any], **options: Any) -> Iterator[Row]:
    """The same of several files or folders, one after the other; a file of one example is called
    as it is named here."""
    for path in paths:
        rows = list(predict(run, path, **options))
        yield from (called(rows, str(path)) if len(paths) > 1 else rows)


def called(rows: Sequence[Row], path: str) -> list[Row]:
    """Rows of one of several files, told apart: a file of one example is called as it is named,
    others have that before their own name."""
    if len(rows) == 1:
        return [rows[0] | {"id": path}]
    return [row | {"id": f"{path}#{row['id']}"} for row in rows]


def teller_of(run: Run, coverage: float | None = None) -> Teller:
    """What tells examples, kept from one call to the next as long as its head is the same."""
    key = head_generation(run), coverage
    if run.kept.get("teller", (None, None))[0] != key:
        head = head_of(run)
        run.kept["teller"] = key, Teller(run, head, coverage)
    found: Teller = run.kept["teller"][1]
    return found


def sets_of(head: Head, coverage: float | None) -> Sets | None:
    """Sets of labels; None where nobody asked, and there are too few labels for them."""
    if coverage is not None:
        check_coverage(coverage)
        if head.held is None:
            raise UsageError(
                "Expected labels that could be held back, to promise a coverage, found too few of "
                "some class, or labels that were added to those of an older run: give all at once, "
                "two or more of each class."
            )
        return Sets(head.held, coverage)
    return usual_sets(head.held)


def together(run: Run, rows: Sequence[Row]) -> float:
    """How far what was predicted of lies, all of it together, from what was learned from; 0 where
    that is no shift, or the run has none that it could be compared with."""
    if not run.has(Usual.name):
        return 0.0
    return shift([row["typical"] for row in rows if row["typical"] is not None])


class Teller:
    """A head with all that is needed to say how far it is to be believed."""

    def __init__(self, run: Run, head: Head, coverage: float | None = None) -> None:
        self.run, self.head, self._sets = run, head, sets_of(head, coverage)
        rate = 1 - (COVERAGE if coverage is None else coverage)
        held = None if self._sets is None else head.held
        self._least = 0.5 if held is None else least_sure(held, rate)
        self.terms: Terms | None = part_of(run, Terms.name)
        self._adapted = part_of(run, ADAPTED)
        usual = run.part(Usual.name) if run.has(Usual.name) else None
        if usual is not None and usual.rows.max() >= len(run.index[0]):
            raise StepwellError(
                f"Expected what is usual of {len(run.index[0]):,} examples in {run.path}, found "
                f"that of example {usual.rows.max():,}: the run is damaged; bring back a copy."
            )
        known = run.index[1][:, : run.map.modes]  # what is broad hides how near the nearest are
        several = np.count_nonzero(known.any(1)) > 1
        self._typical = Typical(known, usual) if several else None

    def __call__(self, batch: Batch) -> list[Row]:
        """A row an example."""
        found = np.asarray(self.run.features(batch), np.float32)
        features = made_of(found, self.run, batch, self.terms, self._adapted)
        shares = self.head(features)
        sets = None if self._sets is None else self._sets(shares)
        typical = None
        if self._typical is not None:
            modes = features[EMBEDDING][:, : self.run.map.modes]
            typical = self._typical(modes, self.run.map.quantiser(found))
        rows = []
        for i, (name, own) in enumerate(zip(batch.ids, shares, strict=True)):
            row = self._row(str(name), own, None if sets is None else sets[i])
            row["typical"] = None if typical is None else float(typical[i])
            rows.append(row | {"abstain": _reason(row, self._least)})
        return rows

    def features(self, batch: Batch) -> dict[str, Any]:
        """All that the head may read."""
        return features_of(self.run, batch, self.terms, self._adapted)

    def _row(self, name: str, own: NDArray, inside: NDArray[np.bool_] | None) -> Row:
        best, classes = int(own.argmax()), self.head.classes
        row: Row = {"id": name, "label": classes[best], "probability": float(own[best])}
        row["shares"] = dict(zip(classes, map(float, own), strict=True))
        order = np.argsort(-own, kind="stable")
        row["set"] = None if inside is None else [classes[c] for c in order if inside[c]]
        return row


def _reason(row: Row, least: float) -> str:
    """Why a label had better not be believed; empty where nothing speaks against it, and it is at
    least as probable as it has to be."""
    if row["typical"] is not None and row["typical"] < STRANGE:
        return "unlike what was learned from"
    if row["probability"] >= least:
        return ""
    if row["set"] is None:
        return "more likely something else"
    if len(row["set"]) > 1:
        return "could be " + " or ".join(row["set"][:3]) + (" or …" if len(row["set"]) > 3 else "")
    return "less sure than it has to be"


def _predicted(source: Any, chunk: int, teller: Teller, why: bool) -> Iterator[Row]:
    for batch in source.batches(chunk):
        for number, row in enumerate(teller(batch)):
            if why and "text" in batch.data:
                label = teller.head.classes.index(row["label"])
                row |= {"words": spoken(teller, batch.take(np.array([number])), label)}
            yield row


def spoken(teller: Teller, one: Batch, label: int) -> list[tuple[str, float]]:
    """Words of a text without which a label would be less likely, the weightiest first."""
    head = teller.head
    (text,) = texts_of(one)
    places: dict[str, list[Any]] = {}
    for match in spans_of(text):
        if match.group().isalnum():
            places.setdefault(match.group().lower(), []).append(match)
    words = list(places)[:ASKED]
    without = [text, *(_without(text, places[word]) for word in words)]
    batch = one.take(np.zeros(len(without), np.intp)).with_data(text=column_of(without))
    scores = head.scores(teller.features(batch))
    sure = margin(scores / head.heat, label)
    lost = [(word, float(sure[0] - rest)) for word, rest in zip(words, sure[1:], strict=True)]
    return [each for each in sorted(lost, key=lambda each: -each[1]) if each[1] > 0][:SPOKEN]


def _without(text: str, places: Sequence[Any]) -> str:
    for place in reversed(places):
        text = text[: place.start()] + text[place.end() :]
    return text
