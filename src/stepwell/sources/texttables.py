"""Tables with a column of texts: Parquet, Arrow, Feather, Hugging Face datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from stepwell.interfaces import UsageError
from stepwell.kit.columns import Choice
from stepwell.kit.nested import dug, in_words
from stepwell.sources.base import WrittenSource
from stepwell.sources.columns import (
    best_text,
    check_name,
    columns_of,
    describe,
    labels_by_row,
    parted,
)
from stepwell.sources.tablefiles import Shards
from stepwell.sources.walk import readable


@final
class TextTableSource(WrittenSource):
    """Texts in a column of a table, or of a folder of tables; read batch by batch.

    Parameters
    ----------
    path : path
        A .parquet, .arrow or .feather file; a folder of them; or what Hugging Face's
        ``save_to_disk`` wrote.
    column : str, optional
        Column of texts, of objects also a path (``data.text``), or several with commas between,
        which are joined. Default: by its name, or the one with most words.
    label : str, optional
        Column of labels, which only scores are made with.
    split : str, optional
        Which part of a folder. Default: ``train`` if there is one.
    strict : bool
        Raise at the first example that can't be read, instead of setting it aside.
    workers : int, optional
        Of no use here.

    Raises
    ------
    UsageError
        If there is no column of texts, or no such split.
    StepwellError
        If a file is damaged.
    """

    reads = "such a table with a column of texts"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        column: str | None = None,
        label: str | None = None,
        split: str | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        self._shards = Shards(path, split)
        found = columns_of(self._shards)
        choice = best_text(found) if column is None else Choice(column, "as asked")
        if choice is None:
            raise UsageError(
                f"Expected a column of text in {path}, found none in {found.listed()}: "
                f"-o column=NAME names it."
            )
        name = path.resolve().name if path.is_dir() else path.stem
        super().__init__(path, readable(name), strict, workers)
        self.column = str(choice.key)
        names = [*found.types]
        self._parts = [parted(each, names) for each in _named(self.column, names)]
        for first, _ in self._parts:
            check_name(found, first)
            if found.kinds[first] in ("image", "other"):
                raise UsageError(
                    f"Expected texts in column {first!r}, found {found.types[first]}: give another "
                    f"column. Columns: {found.listed()}."
                )
        self._label = describe(self, self._shards, found, choice, split, label)

    @staticmethod
    def accepts(path: Path) -> bool:
        """Tables in which texts and no images are found; folders of such."""
        from stepwell.sources.kinds import is_kind

        return is_kind(path, "texttable")

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row."""
        return self._shards.entries()

    def labels(self) -> dict[str, str] | None:
        """Labels from the column noted as classes, or called label, class …"""
        return labels_by_row(self._shards, self._label)

    def _rows(self, ids: frozenset[str] | None) -> Iterator[tuple[str, dict[str, str], str]]:
        columns = [self._shards.cells(name) for name, _ in self._parts]
        for cells in zip(*columns, strict=True):
            id = cells[0][0]
            if ids is not None and id not in ids:
                continue
            pairs = zip(cells, self._parts, strict=True)
            parts = [in_words(dug(cell, within)) for (_, cell, _), (_, within) in pairs]
            text = "\n".join(part for part in parts if part and part.strip())
            problem = "" if text else "no text"
            if any(part is None for part in parts):
                problem = "an object or bytes instead of a text"
            yield id, {"text": text}, problem


def _named(column: str, names: Sequence[str]) -> list[str]:
    """One column, or several with commas between."""
    return [column] if column in names else [part.strip() for part in column.split(",")]
