"""Images in a column: Parquet, Arrow and Feather files, Hugging Face dataset folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stepwell.interfaces import Skipped, StepwellError, UsageError
from stepwell.kit.names import nearest
from stepwell.sources.decode import Unreadable
from stepwell.sources.files import EncodedImages, Item

_SUFFIXES = (".parquet", ".arrow", ".feather", ".ipc")
_NAMES = ("image", "img", "picture", "photo", "jpg", "png", "bytes", "file", "path")
_LABELS = ("label", "labels", "class", "fine_label", "target", "category")


class Table(EncodedImages):
    """An image column: bytes, a path, or a struct of both.

    Parameters
    ----------
    path : path
        A file, a folder of files, or a folder that Hugging Face ``datasets`` saved.
    column : str, optional
        Name of the image column; default: found by its name and type.
    split : str
        Which subfolder of a saved dataset dictionary.
    """

    def __init__(
        self, path: Any, *, column: str | None = None, split: str = "train", **options: Any
    ) -> None:
        super().__init__(path, **options)
        self._column, self._split = column, split
        self._files = self._table_files()

    @staticmethod
    def accepts(path: Path) -> bool:
        """Files by suffix, folders that hold such files."""
        if path.is_dir():
            inside = [path, *(p for p in path.iterdir() if p.is_dir())]
            return any(c.suffix.lower() in _SUFFIXES for f in inside for c in f.iterdir())
        return path.is_file() and path.suffix.lower() in _SUFFIXES

    @property
    def options(self) -> dict[str, Any]:
        """Settings that open this source again the same way."""
        named = {"column": self._column} if self._column else {}
        return {**super().options, **named, "split": self._split}

    def _table_files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        folder = self.path / self._split if (self.path / self._split).is_dir() else self.path
        state = folder / "state.json"
        if state.is_file():
            listed = json.loads(state.read_text("utf-8")).get("_data_files", [])
            return [folder / entry["filename"] for entry in listed]
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
        mine = [p for p in found if p.name.startswith(self._split)]
        return mine or found

    def _batches(self, path: Path) -> Iterator[Any]:
        """Record batches of one file, a few hundred rows at a time."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            if path.suffix.lower() == ".parquet":
                with parquet.ParquetFile(path) as file:
                    yield from file.iter_batches(batch_size=256)
                return
            with pa.memory_map(str(path)) as mapped:
                try:
                    reader = pa.ipc.open_file(mapped)
                    yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
                except pa.ArrowInvalid:
                    mapped.seek(0)
                    yield from pa.ipc.open_stream(mapped)
        except (pa.ArrowInvalid, OSError) as error:
            raise StepwellError(f"Expected a whole table at {path}, found: {error}.") from None

    def _find_column(self, schema: Any) -> str:
        """The image column of a schema."""
        import pyarrow.types as types

        names = list(schema.names)
        if self._column is not None:
            if self._column not in names:
                raise UsageError(
                    f"Expected a column of {self.path}, found {self._column!r}."
                    f"{nearest(self._column, names)} Columns: {', '.join(names)}."
                )
            return self._column

        def holds_bytes(name: str) -> bool:
            kind = schema.field(name).type
            if types.is_struct(kind):
                return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
            return types.is_binary(kind) or types.is_large_binary(kind)

        likely = [n for n in names if holds_bytes(n)]
        likely += [n for n in names if n.lower() in _NAMES and n not in likely]
        if not likely:
            raise UsageError(
                f"Expected a column of images in {self.path}, found {', '.join(names)}: name it "
                f"with column=…"
            )
        return likely[0]

    def items(self) -> Iterator[Item | Skipped]:
        row = 0
        for path in self._files:
            for batch in self._batches(path):
                for value in batch.column(self._find_column(batch.schema)):
                    name = f"{self.name}#row={row}"
                    row += 1
                    yield name, partial(_bytes_of, value, path.parent)

    def entries(self) -> Iterator[tuple[str, str]]:
        for row in range(sum(b.num_rows for path in self._files for b in self._batches(path))):
            yield f"{self.name}#row={row}", f"{self.name}#row={row}"

    def labels(self) -> dict[str, str] | None:
        """Labels from a column of that name, with the names a dataset gives them."""
        found: dict[str, str] = {}
        row = 0
        for path in self._files:
            for batch in self._batches(path):
                column = next((n for n in batch.schema.names if n.lower() in _LABELS), None)
                if column is None:
                    return None
                names = _class_names(batch.schema, column)
                for value in batch.column(column).to_pylist():
                    shown = names[value] if names and isinstance(value, int) else value
                    found[f"{self.name}#row={row}"] = str(shown)
                    row += 1
        return found or None


def _bytes_of(value: Any, folder: Path) -> bytes:
    plain = value.as_py()
    if isinstance(plain, dict):
        plain = plain.get("bytes") or plain.get("path")
    if isinstance(plain, str):
        return (folder / plain).read_bytes()
    if not isinstance(plain, bytes):
        raise Unreadable("an empty cell" if plain is None else f"a {type(plain).__name__}")
    return plain


def _class_names(schema: Any, column: str) -> list[str] | None:
    """Names of a ClassLabel column from the metadata that ``datasets`` writes."""
    raw = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(raw).get("info", {}).get("features", {}) if raw else {}
    names = features.get(column, {}).get("names")
    return list(names) if names else None
