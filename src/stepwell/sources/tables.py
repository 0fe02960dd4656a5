"""Tables with a column of images: Parquet, Arrow, Feather, Hugging Face datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.columns import columns_of, describe, image_column, labels_by_row
from stepwell.sources.encoded import EncodedSource, Item, broken, holding
from stepwell.sources.tablefiles import Shards
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
    label : str, optional
        Column of labels, which only scores are made with.
    split : str, optional
        Which part of a folder. Default: ``train`` if there is one.
    anywhere : bool
        Read images by paths that lead out of the folder of the table too: only for tables whose
        writer is trusted.
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
        label: str | None = None,
        split: str | None = None,
        anywhere: bool = False,
        canvas: int | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        self._shards = Shards(path, split)
        found = columns_of(self._shards)
        choice = image_column(found, column)
        if choice is None:
            raise UsageError(
                f"Expected a column of images or of texts in {path}, found {found.listed()}: "
                f"images are stored as bytes, or as paths; -o column=NAME names one."
            )
        self.column, self._anywhere = str(choice.key), anywhere
        name = path.resolve().name if path.is_dir() else path.stem
        super().__init__(path, readable(name), canvas=canvas, strict=strict, workers=workers)
        if anywhere:
            self.options["anywhere"] = True
        self._label = describe(self, self._shards, found, choice, split, label)

    @staticmethod
    def accepts(path: Path) -> bool:
        """Table files, and folders with tables but no images."""
        from stepwell.sources.kinds import is_kind

        return is_kind(path, "table")

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row; no image is read."""
        return self._shards.entries()

    def labels(self) -> dict[str, str] | None:
        """Labels from the column noted as classes, or called label, class …"""
        return labels_by_row(self._shards, self._label)

    def _items(self) -> Iterator[Item]:
        anywhere = self._anywhere
        return (_item(*cell, anywhere) for cell in self._shards.cells(self.column))

    def _nothing(self) -> StepwellError:
        first = next(self._items(), None)
        why = "a table without rows" if first is None else f"none that can be read: {first.problem}"
        return UsageError(f"Expected images in {self.path}, found {why}.")


def _item(id: str, value: Any, folder: Path, anywhere: bool) -> Item:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return holding(id, value)
    if not isinstance(value, str) or not value:
        return broken(id, "an empty cell")
    path = os.path.join(folder, value)
    if not anywhere and not _below(path, folder):
        return broken(id, f"its file {value!r} is not below the table: -o anywhere=yes reads it")
    problem = why_not_regular(path)
    if problem:
        return broken(id, f"its file {value!r} is {problem}")
    return Item(id, partial(read, path), partial(os.path.getsize, path))


def _below(path: str, folder: Path) -> bool:
    """Whether a path that a table names stays in the folder of the table, links and all."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):
        return False
