"""Which column of a table holds images, which one texts, which one labels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.interfaces import UsageError
from stepwell.kit.columns import (
    FILES,
    LABELS,
    Choice,
    first_called,
    label_column,
    plain_name,
    text_column,
)
from stepwell.kit.names import nearest
from stepwell.kit.nested import as_label, dug, flat, in_words
from stepwell.sources.pillow import extensions
from stepwell.sources.sniff import is_image

IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "photo", "picture", "bytes", "content")
SIGNS = 10_000
"""Of a text that tell what a column holds."""
LOOKED, OF_BYTES = 200, 8
"""Cells that tell what a column holds; of bytes, which may be large."""

Features = Mapping[str, Any]


class Columns(NamedTuple):
    """What the first rows of a table show of its columns.

    Attributes
    ----------
    kinds : mapping of name to {"image", "path", "text", "other"}
        By what is noted, else by type and content.
    cells : mapping of name to list
        First ones of columns that may hold images, texts, paths or labels.
    types : mapping of name to str
        As Arrow calls them.
    noted : mapping
        What Hugging Face's ``datasets`` notes.
    """

    kinds: Mapping[str, str]
    cells: Mapping[str, Sequence[Any]]
    types: Mapping[str, str]
    noted: Features

    def listed(self) -> str:
        """For people."""
        return ", ".join(f"{name} ({kind})" for name, kind in self.types.items())


def features(schema: Any, folder: Path) -> Features:
    """What Hugging Face's ``datasets`` notes about columns, in the schema or beside the file."""
    for text in ((schema.metadata or {}).get(b"huggingface"), _read(folder / "dataset_info.json")):
        try:
            found = json.loads(text or "{}")
        except (ValueError, RecursionError):
            continue
        found = found.get("info", found) if isinstance(found, dict) else {}
        if isinstance(found, dict) and isinstance(found.get("features"), dict):
            return found["features"]
    return {}


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()[:10_000_000] if file.is_file() else None
    except OSError:
        return None


def columns_of(shards: Any) -> Columns:
    """Of :class:`~stepwell.sources.tablefiles.Shards`."""
    schema, folder = shards.first.schema(), shards.first.file.parent
    noted = features(schema, folder)
    kinds, cells, types = {}, {}, {}
    for field in schema:
        types[field.name] = str(field.type)
        how = _how_kept(field.type)
        if how == "other":
            kinds[field.name] = how
            continue
        if how == "numbers":
            kinds[field.name] = "other"
            cells[field.name] = [v for _, v, _ in islice(shards.cells(field.name), LOOKED)]
            continue
        looked = OF_BYTES if how == "bytes" else LOOKED
        first = [_start(value) for _, value, _ in islice(shards.cells(field.name), looked)]
        cells[field.name] = first
        kinds[field.name] = _kind(how, field.name, first, noted.get(field.name), folder)
    return Columns(kinds, cells, types, noted)


def _start(value: Any) -> Any:
    """As much of a cell as is looked at."""
    return value[:SIGNS] if isinstance(value, str) else value


def _how_kept(kind: Any) -> str:
    """``bytes``, ``words``, ``within`` (of objects and lists), ``numbers`` or ``other``, by an
    Arrow type."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _how_kept(kind.value_type)
    text = str(kind)
    if types.is_map(kind):
        return "other"
    if types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return "bytes" if "bytes" in names else "within"
    if types.is_list(kind) or types.is_large_list(kind) or "list" in text:
        inner = getattr(kind, "value_type", None)
        return (
            "within" if inner is not None and _how_kept(inner) in ("words", "within") else "other"
        )
    if "binary" in text:  # also large_, fixed_size_ and _view, of any version of Arrow
        return "bytes"
    if "string" in text or "utf8" in text:
        return "words"
    tests = (types.is_integer, types.is_boolean, types.is_floating, types.is_decimal)
    return "numbers" if any(test(kind) for test in tests) else "other"


def _kind(how: str, name: str, cells: Sequence[Any], noted: Any, folder: Path) -> str:
    """What a column holds."""
    told = noted.get("_type") if isinstance(noted, dict) else None
    if told == "Image":
        return "image"
    filled = [cell for cell in cells if cell]
    if how == "bytes":
        held = [cell.get("bytes") or b"" if isinstance(cell, dict) else cell for cell in filled]
        if any(isinstance(each, bytes) and is_image(each) for each in held):
            return "image"
        written = [in_words(each) for each in held if isinstance(each, bytes) and each]
        some = [text for text in written if text is not None]
        if some and len(some) == len(written) and plain_name(name) not in IMAGE_NAMES:
            return "text"  # strings that their writer did not call so
        return "image"
    if how == "words" and told is None and _leads_to_images(filled, folder):
        return "path"
    return "text"


def _leads_to_images(cells: Sequence[Any], folder: Path) -> bool:
    """Whether most of some cells are names of image files, or of files that are there."""
    some = [cell for cell in cells[:16] if isinstance(cell, str)]
    known = extensions()
    named = sum(os.path.splitext(cell)[1].lower() in known and "\n" not in cell for cell in some)
    if some and 2 * named > len(some):
        return True
    return bool(some) and 2 * sum(_is_file(folder, cell) for cell in some) > len(some)


def _is_file(folder: Path, name: str) -> bool:
    try:
        return len(name) < 1000 and (folder / name).is_file()
    except (OSError, ValueError):
        return False


def image_column(found: Columns, wanted: str | None) -> Choice | None:
    """The column of images: the one asked for or noted, else by its type, content and name.

    Raises
    ------
    UsageError
        If the column asked for is not there, or can't hold images.
    """
    if wanted is not None:
        check_name(found, wanted)
        if found.kinds[wanted] == "other":
            raise UsageError(
                f"Expected images or their paths in column {wanted!r}, found "
                f"{found.types[wanted]}: give another column."
            )
        return Choice(wanted, "as asked")
    for name, note in found.noted.items():
        if _noted_as(note, "Image") and name in found.kinds:
            return Choice(name, "noted as images")
    for kind, why in (("image", "it holds images"), ("path", "it names images")):
        usual = IMAGE_NAMES if kind == "image" else (*IMAGE_NAMES, *FILES)
        names = [name for name, each in found.kinds.items() if each == kind]
        called = [name for name in names if plain_name(name) in usual]
        for name in [*called, *names]:
            return Choice(name, why)
    return None


def check_name(found: Columns, wanted: str) -> None:
    """Raise for a column that is not there."""
    if wanted not in found.types:
        raise UsageError(
            f"Expected the name of a column, found {wanted!r}."
            f"{nearest(str(wanted), found.types)} Columns: {', '.join(found.types)}."
        )


def texts_of(
    found: Columns, names: Sequence[str], put: Callable[[Any], str | None] = in_words
) -> dict[str, list[str]]:
    """First cells of some columns in words, those within objects by their paths."""
    columns: dict[str, list[str]] = {}
    for name in names:
        rows = [flat({name: cell}) for cell in found.cells[name]]
        for path in dict.fromkeys(key for row in rows for key in row):
            columns[path] = [put(row.get(path)) or "" for row in rows]
    return columns


def best_text(found: Columns) -> Choice | None:
    """The column of texts, if there is one."""
    columns = texts_of(found, [name for name, kind in found.kinds.items() if kind == "text"])
    return text_column(columns, {name: name for name in columns})


def kind_of_columns(found: Columns, wanted: Any = None) -> str:
    """``image`` or ``text``: what a table holds, or the column of it that is asked for; ``""``:
    neither."""
    if wanted is not None:
        kind = found.kinds.get(str(wanted), "text")
        return "image" if kind in ("image", "path", "other") else "text"
    if "image" in found.kinds.values():
        return "image"
    if best_text(found) is not None:
        return "text"
    return "image" if "path" in found.kinds.values() else ""


def _noted_as(note: Any, kind: str) -> bool:
    return isinstance(note, dict) and note.get("_type") == kind


def labels_by_row(shards: Any, found: Choice | None) -> dict[str, str] | None:
    """Labels of the rows of :class:`~stepwell.sources.tablefiles.Shards`, from a column."""
    if found is None:
        return None
    name, path = parted(str(found.key), shards.first.schema().names)
    noted = features(shards.first.schema(), shards.first.file.parent).get(name)
    classes = noted.get("names") if isinstance(noted, dict) else None
    classes = classes if isinstance(classes, list) else []
    labels = {}
    for id, value, _ in shards.cells(name):
        value = dug(value, path)
        if classes and isinstance(value, int) and not isinstance(value, bool):
            label = str(classes[value]) if 0 <= value < len(classes) else ""
            label = str(value) if value >= len(classes) else label  # -1 is none
        else:
            label = as_label(value)
        if label:
            labels[id] = label
    return labels or None


def found_labels(found: Columns, text: str, asked: str | None = None) -> Choice | None:
    """The column of labels: asked for, noted as classes, or called label …; ``text`` is none."""
    if asked is not None:
        check_name(found, parted(asked, [*found.types])[0])
        return Choice(asked, "as asked")
    rest = {name: name for name in found.types if name != text}
    classes = [
        name
        for name in rest
        if isinstance(found.noted.get(name), dict)
        and found.noted[name].get("_type") == "ClassLabel"
    ]
    if classes:
        named = first_called({name: name for name in classes}, LABELS)
        return Choice(named or classes[0], "noted as classes")
    cells: dict[str, list[str]] = {}
    for name in rest:
        if found.kinds[name] == "text":
            cells |= texts_of(found, [name], as_label)
        elif name in found.cells and found.kinds[name] != "image":
            cells[name] = [as_label(value) for value in found.cells[name]]
    return label_column(cells, {name: name for name in cells}, text)


def describe(
    source: Any, shards: Any, found: Columns, column: Choice, split: str | None, label: str | None
) -> Choice | None:
    """Note in a source what of its tables was chosen, and what opens it again the same way; the
    column of labels, if there is one."""
    name = str(column.key)
    source.options |= {"column": name} | ({"label": label} if label else {})
    if shards.split:
        source.options["split"] = shards.split
        source.decided("split", shards.split, "as asked" if split else "of several")
    source.decided("column", name, column.why)
    labels = found_labels(found, name, label)
    if labels is not None:
        source.decided("label", labels.key, labels.why)
    if shards.others:
        source.passed["table of another split"] = shards.others
    return labels


def parted(name: str, columns: Sequence[str]) -> tuple[str, str]:
    """A column of a table, and the path within its cells."""
    if name in columns:
        return name, ""
    for cut in range(name.count("."), 0, -1):
        first = ".".join(name.split(".")[:cut])
        if first in columns:
            return first, name[len(first) + 1 :]
    return name, ""
