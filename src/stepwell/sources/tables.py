"""Tables with a column of images: Parquet, Arrow, Feather, Hugging Face datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.columns import by_name_only, features, image_column, labels_by_row
from stepwell.sources.encoded import EncodedSource, Item, broken, holding
from stepwell.sources.pillow import extensions
from stepwell.sources.tablefiles import EXTENSIONS, Table, of_split
from stepwell.sources.walk import read, readable, walk, why_not_regular


class _Shard(NamedTuple):
    prefix: str
    table: Table


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
        chosen, split = of_split(path, split)
        self._shards = [_Shard(prefix, Table(file)) for prefix, file in chosen]
        schema = self._shards[0].table.schema()
        self._noted = features(schema, chosen[0][1].parent)
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
        if split:
            self.options["split"] = split

    @staticmethod
    def accepts(path: Path) -> bool:
        """Table files, and folders with tables but no images."""
        if not path.is_dir():
            return path.is_file() and path.suffix.lower() in EXTENSIONS
        found_table = False
        for found in walk(path):
            # A table beside images says something about them. Large folders of images
            # are left at their first.
            if found.extension in extensions() and not found.problem:
                return False
            found_table |= found.extension in EXTENSIONS
        return found_table

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row; no image is read."""
        for shard in self._shards:
            for row in range(shard.table.rows()):
                id = f"{shard.prefix}#row={row}"
                yield id, id

    def labels(self) -> dict[str, str] | None:
        """Labels from the column noted as classes, or called label, class …"""
        return labels_by_row(self._shards, self.column)

    def _items(self) -> Iterator[Item]:
        for prefix, table in self._shards:
            row = 0
            for batch in table.batches(self.column):
                for cell in batch:
                    yield _item(f"{prefix}#row={row}", cell.as_py(), table.file.parent)
                    row += 1

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
