"""Tables with a column of texts: Parquet, Arrow, Feather, Hugging Face datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import final

import numpy as np

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest
from stepwell.sources.base import WrittenSource
from stepwell.sources.columns import features, labels_by_row, sure_of_images
from stepwell.sources.tablefiles import Shards, holds_tables
from stepwell.sources.textfiles import LOOKED, TEXT, WORDS
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
        Column of texts. Default: by its name, or the one with most words.
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
        split: str | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        self._shards = Shards(path, split)
        names = self._shards.first.schema().names
        found = column if column in names else None if column else _text_column(self._shards)
        if found is None:
            raise UsageError(
                f"Expected a column of text in {path} ({', '.join(names)}), found "
                f"{column!r}.{nearest(str(column), names)}"
            )
        name = path.resolve().name if path.is_dir() else path.stem
        super().__init__(path, readable(name), strict, workers)
        self.column = found
        self.options["column"] = found
        if self._shards.split:
            self.options["split"] = self._shards.split

    @staticmethod
    def accepts(path: Path) -> bool:
        """Tables in which texts and no images are found; folders of such."""
        if not holds_tables(path):
            return False
        try:
            return _text_column(Shards(path)) is not None
        except (StepwellError, IndexError):
            return False  # whoever reads images has a message for it

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row."""
        return self._shards.entries()

    def labels(self) -> dict[str, str] | None:
        """Labels from the column noted as classes, or called label, class …"""
        return labels_by_row(self._shards, self.column)

    def _rows(self, ids: frozenset[str] | None) -> Iterator[tuple[str, dict[str, str], str]]:
        for id, cell, _ in self._shards.cells(self.column):
            if ids is None or id in ids:
                text = "" if cell is None else str(cell)
                yield id, {"text": text}, "" if text.strip() else "no text"


def _text_column(shards: Shards) -> str | None:
    """The column called text, sentence …, or the one with most words, if these are words."""
    import pyarrow.types as types

    schema = shards.first.schema()
    if sure_of_images(schema, features(schema, shards.first.file.parent)):
        return None
    written = [f.name for f in schema if types.is_string(f.type) or types.is_large_string(f.type)]
    lower = {name.lower(): name for name in written}
    named = next((lower[name] for name in TEXT if name in lower), None)
    if named is not None:
        return named
    words = {name: _words(shards, name) for name in written}
    best = max(words, key=lambda name: words[name], default=None)
    return best if best is not None and words[best] >= WORDS else None


def _words(shards: Shards, column: str) -> float:
    """On average, in the first cells."""
    first = [str(cell or "") for _, cell, _ in islice(shards.cells(column), LOOKED)]
    return float(np.mean([len(cell.split()) for cell in first])) if first else 0.0
