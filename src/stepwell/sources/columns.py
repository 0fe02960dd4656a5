"""Which column of a table holds images, which one labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest

_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "photo", "picture", "bytes", "content")
_PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "file_path", "image_path")
_LABEL_NAMES = ("label", "labels", "class", "classes", "target", "category")

Features = Mapping[str, Any]


def features(schema: Any, folder: Path) -> Features:
    """What Hugging Face's ``datasets`` notes about columns, in the schema or beside the file."""
    for text in ((schema.metadata or {}).get(b"huggingface"), _read(folder / "dataset_info.json")):
        try:
            found = json.loads(text or "{}")
        except ValueError:
            continue
        found = found.get("info", found) if isinstance(found, dict) else {}
        if isinstance(found.get("features"), dict):
            return found["features"]
    return {}


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def image_column(schema: Any, noted: Features, wanted: str | None) -> str | None:
    """The column of images: the one asked for or noted, else by its type and name.

    Raises
    ------
    UsageError
        If the column asked for is not there, or can't hold images.
    """
    if wanted is not None:
        if wanted not in schema.names:
            raise UsageError(
                f"Expected the name of a column, found {wanted!r}.{nearest(wanted, schema.names)} "
                f"Columns: {', '.join(schema.names)}."
            )
        if not _rank(schema.field(wanted)):
            raise UsageError(
                f"Expected images or their paths in column {wanted!r}, found "
                f"{schema.field(wanted).type}: give another column."
            )
        return wanted
    for name in schema.names:
        if isinstance(noted.get(name), dict) and noted[name].get("_type") == "Image":
            return name
    ranked = [(_rank(field), field.name) for field in schema]
    sure = [name for rank, name in sorted(ranked, key=lambda pair: pair[0]) if rank]
    return sure[0] if sure else None


def _rank(field: Any) -> int:
    """How surely a column holds images, 1 the surest; 0: it can't."""
    import pyarrow.types as types

    kind, name = field.type, field.name.lower()
    if types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return 1 if "bytes" in names else 0
    if types.is_binary(kind) or types.is_large_binary(kind):
        return 2 if name in _IMAGE_NAMES else 3
    if types.is_string(kind) or types.is_large_string(kind):
        return 4 if name in _IMAGE_NAMES else 5 if name in _PATH_NAMES else 6
    return 0


def sure_of_images(schema: Any, noted: Features) -> bool:
    """Whether a table holds images for sure: noted, or as bytes."""
    found = image_column(schema, noted, None)
    return found is not None and (found in noted or 0 < _rank(schema.field(found)) <= 3)


def labels_by_row(shards: Any, column: str) -> dict[str, str] | None:
    """Labels of the rows of :class:`~stepwell.sources.tablefiles.Shards`, from the column noted as
    classes, or called label …; ``column`` is none."""
    schema = shards.first.schema()
    noted = features(schema, shards.first.file.parent)
    found = label_column(schema, noted)
    if found is None or found[0] == column:
        return None
    name, classes = found
    labels = {}
    for id, value, _ in shards.cells(name):
        if value is None or (classes and value == -1):
            continue
        known = classes and isinstance(value, int) and 0 <= value < len(classes)
        labels[id] = classes[value] if known else str(value)
    return labels or None


def by_name_only(schema: Any, column: str) -> bool:
    """Whether a column of text is taken for paths though nothing but a lack of others says so."""
    return _rank(schema.field(column)) == 6


def label_column(schema: Any, noted: Features) -> tuple[str, list[str]] | None:
    """The column of labels, and the names of its classes where these are noted."""
    classes = [
        name
        for name in schema.names
        if isinstance(noted.get(name), dict) and noted[name].get("_type") == "ClassLabel"
    ]
    usual = [name for name in schema.names if name.lower() in _LABEL_NAMES]
    for name in [*[c for c in classes if c in usual], *classes, *usual]:
        names = noted[name].get("names") if name in classes else None
        return name, list(names or [])
    return None
