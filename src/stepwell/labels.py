"""Labels for scores: from folders, columns or a table, and whose they are."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import LabelTable, LeftOut
from stepwell.adapt.naming import Meant, named_in
from stepwell.adapt.table import NAMED, plain, words_of_none
from stepwell.interfaces import Batch, UsageError, concatenate
from stepwell.kit.columns import LABELS
from stepwell.kit.plugins import registered
from stepwell.run import Run
from stepwell.runfile import read_like, same_path
from stepwell.sources import SOURCES, open_source
from stepwell.sources.facts import facts_of


def label_source(run: Run, labels: Any) -> tuple[Any, dict[str, str], LeftOut]:
    """A source, the label of each of its ids, and what of a table was left out."""
    root = run.config["source"].get("path")
    if is_table(labels, root):
        known, left = told([str(i) for i in run.index[0]], labels, *where_of(run))
        return run.own_source(), known, left
    source = run.open(labels) if not hasattr(labels, "batches") else open_source(labels)
    known, left = _own_labels(source, labels), LeftOut(how=facts_of(source))
    if any(row["what"] == "label" for row in left.how["decisions"]):  # a column, not folders
        left.words += words_of_none(known.values())
    left.guessed += _of_another_column(run, left.how)
    return source, known, left


def _of_another_column(run: Run, how: Mapping[str, Any]) -> list[str]:
    """What is said where texts are of another column than those it was learned from."""
    read = run.config["source"].get("read", {}).get("decisions", [])
    here, there = (
        next((row["value"] for row in rows if row["what"] == "column"), None)
        for rows in (how.get("decisions", []), read)
    )
    if here is None or there is None or here == there:
        return []
    return [
        f"these texts are of the column {here!r}, those it was learned from of {there!r}: they may "
        f"be of another kind"
    ]


def labelled_batch(
    run: Run, labels: Any, most: int | None = None
) -> tuple[Batch, list[str], LeftOut]:
    """Labelled examples (``most`` of them, drawn), their labels, and what was left out: examples
    that are the same and labelled otherwise too, or again."""
    source, known, left = label_source(run, labels)
    if not is_table(labels, run.config["source"].get("path")):
        blank = [(0, name) for name, _ in source.entries() if name not in known]
        left = replace(left, missing=blank)
    ids = set(known)
    if most is not None:
        ids = set(np.random.default_rng(0).permutation(sorted(known))[:most].tolist())
    parts = list(source.batches(run.chunk, ids=ids))
    if not parts:
        raise none_read(labels)
    batch, unread = concatenate(parts), [(0, s.id) for s in source.skipped if s.id in ids]
    kept, left = _by_content(batch, known, replace(left, unread=unread))
    if not len(kept):
        why = " ".join(left.lines())
        raise UsageError(f"Expected labels to learn from in {named(labels)}, found none: {why}")
    batch = batch.take(kept)
    return batch, [known[str(name)] for name in batch.ids], left


def _by_content(
    batch: Batch, known: Mapping[str, str], left: LeftOut
) -> tuple[NDArray[np.intp], LeftOut]:
    """Rows of one of each content, where its labels agree."""
    same: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, digest in enumerate(batch.digest.tolist()):
        same[tuple(digest)].append(row)
    kept, repeated, contradictory = [], [*left.repeated], [*left.contradictory]
    for rows in same.values():
        names = [str(batch.ids[row]) for row in rows]
        labels = list(dict.fromkeys(known[name] for name in names))
        if len(labels) > 1:
            more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
            contradictory.append((" = ".join(names[:NAMED]) + more, list[int](), labels))
        else:
            kept.append(rows[0])
            repeated += [(0, name) for name in names[1:]]
    rows_ = np.array(sorted(kept), np.intp)
    return rows_, replace(left, repeated=repeated, contradictory=contradictory)


def none_read(labels: Any) -> UsageError:
    """What is said where no labelled example can be read."""
    return UsageError(
        f"Expected labelled examples, found none that can be read in {named(labels)}."
    )


def told(ids: Sequence[str], labels: Any, *roots: Any) -> tuple[dict[str, str], LeftOut]:
    """What a table says of examples, and what of it says nothing.

    Parameters
    ----------
    ids : sequence of str
        Names of the examples.
    labels : path or mapping
    roots : path, optional
        Where the examples are, by any name: folders before an id have to be those.
    """
    table = LabelTable.of(labels)
    if not table.said:
        why = " ".join(table.left.lines())
        raise UsageError(f"Expected labels in {named(labels)}, found none yet. {why}".rstrip())
    there = [name for root in roots if root is not None for name in _called(root)]
    beside = "" if isinstance(labels, Mapping) else str(Path(labels).absolute().parent)
    found = named_in(ids, table.said, there, beside)
    left = replace(table.left, repeated=[], contradictory=[], how=dict(table.how))
    said: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for file, rows in table.said.items():
        which = found.which[file]
        if len(which) == 1:
            said[which[0]] += [(line, file, label) for line, label in rows]
        else:
            aside = left.several if which else left.unknown
            aside += [(line, file) for line, _ in rows]
    if found.moved:
        left.guessed.append(_taken(found.moved, there))
    if not said:
        raise _none_named(ids, found, labels, there)
    known = _believed(said, left)
    if not known:
        raise UsageError(
            f"Expected labels in {named(labels)}, found none to believe. {' '.join(left.lines())}"
        )
    if not isinstance(labels, Mapping):
        left.words += words_of_none(known.values())
    return known, left


def _believed(said: Mapping[str, list[tuple[int, str, str]]], left: LeftOut) -> dict[str, str]:
    """The label of each example that has one; what is said again or otherwise, under whatever
    name, is left out."""
    known: dict[str, str] = {}
    for name, rows in said.items():
        rows.sort()
        each = list(dict.fromkeys(label for _, _, label in rows))
        if len(each) > 1:
            left.contradictory.append((name, [line for line, _, _ in rows], each))
        else:
            known[name] = each[0]
            left.repeated += [(line, file) for line, file, _ in rows[1:]]
    return known


def _taken(folder: str, roots: Sequence[Any]) -> str:
    where = os.path.normpath(roots[0]) if roots else "where the examples are"
    return f"names begin with {folder}/, which was taken for {where}, moved"


def _none_named(ids: Sequence[str], found: Meant, labels: Any, roots: Sequence[Any]) -> UsageError:
    """The error of a table that names no example."""
    hint = ""
    if len(found.other) == 1:
        hint = (
            f" All of them are in {next(iter(found.other))}/, which is not where the examples were "
            f"learned from{f' ({roots[0]})' if roots else ''}: if they are the same files, take "
            f"that off."
        )
    return UsageError(
        f"Expected names of the {len(ids):,} examples, such as {ids[0]!r}, found in "
        f"{named(labels)} only others, or of several of them, such as "
        f"{next(iter(found.which), '')!r}: name files relative to what was learned from.{hint} "
        f"Images that it was not learned from are labelled by a folder for each class, texts by a "
        f"column."
    )


def where_of(run: Run) -> list[Any]:
    """What the data of a run is called: where it is now, and where it was."""
    path = run.config["source"].get("path")
    now = Path(run.given) if isinstance(run.given, (str, Path)) else None
    if path and run.made_here:
        path = Path(path)
    return [each for each in (now, path) if each]


def _called(root: Any) -> list[str]:
    """A place by its name, and by that behind links where the file system may be asked."""
    if not isinstance(root, Path):
        return [str(root)]
    return list(dict.fromkeys((str(root.absolute()), os.path.realpath(root))))


def check_labels(
    labels: Any, source: Any, entries: list[tuple[str, str]], classes: int = 1
) -> None:
    """Raise what :func:`evaluate` would, without a run; ``entries`` are those of ``source``."""
    if labels is None:
        return
    known = labels_of(labels, source, entries)[1]
    if len(set(known.values())) < classes:
        raise UsageError(f"Expected at least two classes, found one in {named(labels)}.")


def labels_of(
    labels: Any, source: Any, entries: list[tuple[str, str]]
) -> tuple[Any, dict[str, str]]:
    """Where labelled examples are read like those of ``source``, and their labels by id."""
    if labels is None:
        return source, {}
    root = getattr(source, "path", None)
    if same_path(labels, root):
        return source, _own_labels(source, labels)
    if is_table(labels):
        return source, told([name for name, _ in entries], labels, root)[0]
    own = open_source(labels, like=read_like(source.options))
    return own, _own_labels(own, labels)


def named(labels: Any) -> str:
    """What a message calls them."""
    return "a table" if isinstance(labels, Mapping) else str(labels)


def is_table(labels: Any, root: Any = None) -> bool:
    """Whether they are names with their labels, not examples of their own, as what a run was
    learned from (``root``) is."""
    if same_path(labels, root):
        return False
    path = isinstance(labels, (str, Path))
    return isinstance(labels, Mapping) or (
        path and Path(labels).suffix.lower() in (".csv", ".tsv") and not _has_source(labels)
    )


def _has_source(path: Any) -> bool:
    """Whether a plug-in reads this file as examples: then it brings its own labels."""
    return any(kind.accepts(Path(path)) for kind in registered("sources", SOURCES).values())


def _own_labels(source: Any, labels: Any) -> dict[str, str]:
    known = source.labels() if hasattr(source, "labels") else None
    if not known and getattr(source, "kind", "") == "text":
        raise UsageError(
            f"Expected labels beside texts, found no column called {', '.join(LABELS[:5])} in "
            f"{named(labels)}: call it so, or give a CSV with the columns file,label."
        )
    if not known:
        raise UsageError(
            f"Expected labelled examples, found no labels in {labels}: put each class into a "
            f"folder of its own, or give a CSV with the columns file,label."
        )
    return {str(k): label for k, v in known.items() if (label := plain(v))}
