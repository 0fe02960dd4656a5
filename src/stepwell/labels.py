"""Labels for scores: from folders, columns or a table, and whose they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import LabelTable, LeftOut
from stepwell.adapt.table import NAMED, plain
from stepwell.interfaces import Batch, UsageError, concatenate
from stepwell.kit.columns import LABELS
from stepwell.kit.plugins import registered
from stepwell.run import Run, read_like
from stepwell.sources import SOURCES, open_source


def label_source(run: Run, labels: Any) -> tuple[Any, dict[str, str], LeftOut]:
    """A source, the label of each of its ids, and what of a table was left out."""
    if is_table(labels):
        known, left = told([str(i) for i in run.index[0]], labels)
        return run.own_source(), known, left
    source = run.open(labels) if not hasattr(labels, "batches") else open_source(labels)
    return source, _own_labels(source, labels), LeftOut()


def labelled_batch(
    run: Run, labels: Any, most: int | None = None
) -> tuple[Batch, list[str], LeftOut]:
    """Labelled examples (``most`` of them, drawn), their labels, and what was left out: examples
    that are the same and labelled otherwise too, or again."""
    source, known, left = label_source(run, labels)
    if not is_table(labels):
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


def told(ids: Sequence[str], labels: Any) -> tuple[dict[str, str], LeftOut]:
    """What a table says of examples, and what of it says nothing."""
    table = LabelTable.of(labels)
    if not table.known:
        why = " ".join(table.left.lines())
        raise UsageError(f"Expected labels in {named(labels)}, found none yet. {why}".rstrip())
    names = {normalize("NFC", name): name for name in ids}  # some systems part letters and accents
    found, used = matched(list(names), table.known, labels)
    known = {names[name]: label for name, label in found.items()}
    rest = [(table.line[file], file) for file in table.known if file not in used]
    ends = _by_end(names) if rest else {}
    shared = {file for _, file in rest if len(_ending(ends, file)) > 1}
    several = [each for each in rest if each[1] in shared]
    unknown = [each for each in rest if each[1] not in shared]
    return known, replace(table.left, unknown=unknown, several=several)


def matched(
    ids: Sequence[str], known: Mapping[str, Any], labels: Any
) -> tuple[dict[str, str], set[str]]:
    """Labels by id, and the names that were of some example.

    The end of an id (``tom.jpg`` for ``cats/tom.jpg``), or an id with folders before it, is enough
    where it is the only one; never instead of an id itself.
    """
    whole, ends = set(ids), _by_end(ids)
    found = {name: str(label) for name, label in known.items() if name in whole}
    used = set(found)
    guessed: dict[str, str] = {}
    for name, label in known.items():
        same = [] if name in whole else _ending(ends, name)
        if len(same) != 1 or same[0] in found:
            continue
        if guessed.setdefault(same[0], str(label)) != str(label):
            raise UsageError(
                f"Expected one label for {same[0]!r}, found two in {named(labels)}, "
                f"{guessed[same[0]]!r} and {str(label)!r}: name files as they were found."
            )
        used.add(name)
    found |= guessed
    if not found:
        raise UsageError(
            f"Expected names of the {len(ids):,} examples, such as {ids[0]!r}, found in "
            f"{named(labels)} only others, or of several of them, such as "
            f"{next(iter(known), '')!r}: name files relative to what was learned from. Images that "
            f"it was not learned from are labelled by a folder for each class, texts by a column."
        )
    return found, used


def _by_end(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by their last part."""
    ends: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        ends[Path(name).name].append(name)
    return ends


def _ending(ends: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """Ids of which one may be meant by a name."""
    return [i for i in ends.get(Path(name).name, ()) if _one_ends(i, name)]


def _one_ends(one: str, other: str) -> bool:
    """Whether one path is the end of the other."""
    short, long = sorted((one, other), key=len)
    return long.endswith(f"/{short}")


def check_labels(labels: Any, entries: list[tuple[str, str]], classes: int = 1) -> None:
    """Raise what :func:`evaluate` would, without a run; ``entries`` are its examples."""
    if labels is None:
        return
    if not is_table(labels):
        known = _own_labels(open_source(labels), labels)
    else:
        known, _ = told([name for name, _ in entries], labels)
    if len(set(known.values())) < classes:
        raise UsageError(f"Expected at least two classes, found one in {named(labels)}.")


def labels_of(
    labels: Any, source: Any, entries: list[tuple[str, str]]
) -> tuple[Any, dict[str, str]]:
    """Where labelled examples are read like those of ``source``, and their labels by id."""
    if labels is None:
        return source, {}
    if is_table(labels):
        return source, told([name for name, _ in entries], labels)[0]
    own = open_source(labels, like=read_like(source.options))
    return own, _own_labels(own, labels)


def named(labels: Any) -> str:
    """What a message calls them."""
    return "a table" if isinstance(labels, Mapping) else str(labels)


def is_table(labels: Any) -> bool:
    """Whether they are names with their labels, not examples of their own."""
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
    return {str(k): label for k, v in known.items() if (label := plain(v)) not in ("", "nan")}
