"""Labels for scores: from folders, columns or a table, and whose they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from stepwell.run import Run
from stepwell.runfile import read_like, same_path
from stepwell.sources import SOURCES, open_source
from stepwell.sources.facts import facts_of


def label_source(run: Run, labels: Any) -> tuple[Any, dict[str, str], LeftOut]:
    """A source, the label of each of its ids, and what of a table was left out."""
    root = run.config["source"].get("path")
    if is_table(labels, root):
        known, left = told([str(i) for i in run.index[0]], labels, root)
        return run.own_source(), known, left
    source = run.open(labels) if not hasattr(labels, "batches") else open_source(labels)
    return source, _own_labels(source, labels), LeftOut(how=facts_of(source))


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


def told(ids: Sequence[str], labels: Any, root: Any = None) -> tuple[dict[str, str], LeftOut]:
    """What a table says of examples, and what of it says nothing.

    Parameters
    ----------
    ids : sequence of str
        Names of the examples.
    labels : path or mapping
    root : path, optional
        Where the examples are: a name with folders before an id means that example only where the
        last of these folders is called so.
    """
    table = LabelTable.of(labels)
    if not table.known and not table.left.contradictory:
        why = " ".join(table.left.lines())
        raise UsageError(f"Expected labels in {named(labels)}, found none yet. {why}".rstrip())
    found = _Named(ids, root)
    left = replace(table.left, repeated=[], contradictory=[], how=dict(table.how))
    said: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for file, rows in table.said.items():
        which = found(file)
        if len(which) != 1:
            (left.several if which else left.unknown).append((rows[0][0], file))
        else:
            said[which[0]] += [(line, file, label) for line, label in rows]
    if not said:
        raise _none_named(ids, table, labels, root, left)
    known: dict[str, str] = {}
    for name, rows_ in said.items():
        rows_.sort()
        each = list(dict.fromkeys(label for _, _, label in rows_))
        if len(each) > 1:
            left.contradictory.append((name, [line for line, _, _ in rows_], each))
        else:
            known[name] = each[0]
            left.repeated += [(line, file) for line, file, _ in rows_[1:]]
    if not known:
        raise UsageError(
            f"Expected labels in {named(labels)}, found none to believe. {' '.join(left.lines())}"
        )
    return known, left


def _none_named(
    ids: Sequence[str], table: LabelTable, labels: Any, root: Any, left: LeftOut
) -> UsageError:
    """The error of a table that names no example."""
    first = next(iter(table.said), "")
    before = {spelled(file).rpartition("/")[0] for file in table.said}
    hint = ""
    if len(before) == 1 and "" not in before and not left.several:
        folder = next(iter(before))
        hint = (
            f" All of them are in {folder}/, which is not where the examples were learned from"
            f"{f' ({root})' if root else ''}: if they are the same files, take that off."
        )
    return UsageError(
        f"Expected names of the {len(ids):,} examples, such as {ids[0]!r}, found in "
        f"{named(labels)} only others, or of several of them, such as {first!r}: name files "
        f"relative to what was learned from.{hint} Images that it was not learned from are "
        f"labelled by a folder for each class, texts by a column."
    )


def spelled(name: str) -> str:
    """A path as ids are written: ``.\\\\a\\\\b.png`` and ``./a//b.png`` are a/b.png."""
    path = normalize("NFC", name).replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


class _Named:
    """Which examples a name means.

    An id itself comes first, as it is written. Else the end of an id (``tom.jpg`` for
    ``cats/tom.jpg``), or an id with folders before it of which the last is the one that was learned
    from: ``train/1.png`` is none of ``test``.
    """

    def __init__(self, ids: Sequence[str], root: Any) -> None:
        # Some systems part letters and accents.
        self._whole = {normalize("NFC", name): name for name in ids}
        self._ends: dict[str, list[str]] = defaultdict(list)
        for name in self._whole:
            self._ends[name.rpartition("/")[2]].append(name)
        self._folders = _called(root)

    def __call__(self, name: str) -> list[str]:
        """Ids; several where it could be either."""
        for written in (normalize("NFC", name), spelled(name)):
            if written in self._whole:
                return [self._whole[written]]
        some = self._ends.get(written.rpartition("/")[2], ())
        return [self._whole[each] for each in some if self._means(written, each)]

    def _means(self, name: str, id: str) -> bool:
        if id.endswith(f"/{name}"):
            return True
        if not name.endswith(f"/{id}"):
            return False
        folder = name.removesuffix(f"/{id}").rpartition("/")[2]
        return folder in self._folders if self._folders else "/" in id


def _called(root: Any) -> set[str]:
    """What the folder that ids start from may be called: that of a folder or an archive, and for a
    file, which ids begin with, the one it is in."""
    if root is None:
        return set()
    path = Path(str(root)).absolute()
    names = {path.name, path.name.partition(".")[0]}
    return {
        normalize("NFC", name) for name in (names | {path.parent.name} if path.suffix else names)
    }


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
