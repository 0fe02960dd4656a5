"""Tables with a column of images: Parquet, Arrow, Feather, Hugging Face datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.columns import by_name_only, features, image_column, labels_by_row
from stepwell.sources.encoded import EncodedSource, Item, broken, holding
from stepwell.sources.tablefiles import Shards, holds_tables
from stepwell.sources.walk import read, readable, why_not_regular


@final
class TableSource(EncodedSource):
    """Images in a column of a table, or of a folder of tables; read batch by batch.

    Parameters
    ----------
    path : path
        A .parquet, .arrow or .feather file; a folder of them; or what Hugging Face's
        ``save_to_disk`` wrote.
    column : str, optional
        Column of images: ``struct<bytes, path>``, binary, or paths. Default: by the
        notes in the file, or else by type and name.
    split : str, optional
        Which part of a folder. Default: ``train`` if there is one.
    canvas, strict, workers
        As for :class:`~stepwell.sources.FolderSource`.

    Raises
    ------
    UsageError
        If there is no column of images, or no such split.
    StepwellError
        If a file is damaged.
    """

    reads = "a .parquet, .arrow or .feather file, or a folder of them"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        column: str | None = None,
        split: str | None = None,
        canvas: int | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        self._shards = Shards(path, split)
        schema = self._shards.first.schema()
        self._noted = features(schema, self._shards.first.file.parent)
        found = image_column(schema, self._noted, column)
        if found is None:
            listed = ", ".join(f"{field.name} ({field.type})" for field in schema)
            raise UsageError(
                f"Expected a column of images in {path}, found {listed}: "
                f"images are stored as bytes, or as paths."
            )
        self.column = found
        name = path.resolve().name if path.is_dir() else path.stem
        super().__init__(path, readable(name), canvas=canvas, strict=strict, workers=workers)
        if self._guessed(schema, column) and not self._readable_row():
            raise UsageError(
                f"Expected a column of images in {path}, found text in {found!r} that leads to "
                f"no file: name the column with images."
            )
        self.options["column"] = found
        if self._shards.split:
            self.options["split"] = self._shards.split

    @staticmethod
    def accepts(path: Path) -> bool:
        """Table files, and folders with tables but no images."""
        return holds_tables(path)

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row; no image is read."""
        return self._shards.entries()

    def labels(self) -> dict[str, str] | None:
        """Labels from the column noted as classes, or called label, class …"""
        return labels_by_row(self._shards, self.column)

    def _items(self) -> Iterator[Item]:
        return (_item(*cell) for cell in self._shards.cells(self.column))

    def _nothing(self) -> StepwellError:
        return UsageError(f"Expected images in {self.path}, found a table without rows.")

    def _guessed(self, schema: Any, column: str | None) -> bool:
        return (
            column is None and self.column not in self._noted and by_name_only(schema, self.column)
        )

    def _readable_row(self) -> bool:
        return any(not item.problem for item, _ in zip(self._items(), range(16), strict=False))


def _item(id: str, value: Any, folder: Path) -> Item:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return holding(id, value)
    if not isinstance(value, str) or not value:
        return broken(id, "an empty cell")
    path = os.path.join(folder, value)
    problem = why_not_regular(path)
    if problem:
        return broken(id, f"its file {value!r} is {problem}")
    return Item(id, partial(read, path), partial(os.path.getsize, path))
