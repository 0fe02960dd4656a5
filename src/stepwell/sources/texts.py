"""Texts: lines, paragraphs or whole files; a column of a CSV, TSV or JSON-lines file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, final

from stepwell.interfaces import UsageError
from stepwell.sources.base import WrittenSource
from stepwell.sources.pillow import extensions
from stepwell.sources.tablefiles import EXTENSIONS
from stepwell.sources.textfiles import (
    PLAIN,
    TABLES,
    Cells,
    Column,
    format_of,
    has_words,
    units,
    usual_unit,
)
from stepwell.sources.walk import readable, walk

UNITS = ("line", "paragraph", "document")
MARKED = re.compile(r"#(row|line|paragraph)=\d+$")
"""How ids of texts end: what looks like one is no text to search for."""
ENDS = EXTENSIONS | {".zip", ".tar", ".gz", ".npy", ".npz", ".safetensors"}
"""Of names of files that are no texts in words."""


class _File(NamedTuple):
    prefix: str
    path: str
    format: str


@final
class TextSource(WrittenSource):
    """Texts in a file or in a folder of files; read one after the other, plain or gzipped.

    Parameters
    ----------
    path : path
        A .txt, .md, .csv, .tsv or .jsonl file, with or without .gz, or a folder of them.
    column : str or int, optional
        Of a table: the column with the text; of no use elsewhere. Default: by its name, or the
        one with most words.
    unit : {"line", "paragraph", "document"}, optional
        What an example is in plain files. Default: of a folder a file; of a single file a
        paragraph where many lines are empty, else a line.
    strict : bool
        Raise at the first example that can't be read, instead of setting it aside.
    workers : int, optional
        Of no use here.

    Raises
    ------
    UsageError
        If there is no text, or no such column.
    """

    reads = "a .txt, .csv, .tsv or .jsonl file (also .gz), or a folder of them"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        column: str | int | None = None,
        unit: str | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        super().__init__(path, readable(path.name.split(".")[0] or path.name), strict, workers)
        if unit is not None and unit not in UNITS:
            raise UsageError(f"Expected a unit of {', '.join(UNITS)}, found {unit!r}.")
        self._files = list(_files(path))
        self.unit = unit or ("document" if path.is_dir() else self._usual_unit())
        self._columns = {
            file.prefix: Column.of(file.path, file.format, column)
            for file in self._files
            if file.format in TABLES
        }
        self.options["unit"] = self.unit
        self.options |= {"column": column} if column is not None else {}

    def _usual_unit(self) -> str:
        plain = self._files[0].format in PLAIN
        return usual_unit(self._files[0].path) if plain else "line"

    @staticmethod
    def accepts(path: Path) -> bool:
        """Text files, and folders of them without images; a table only if there is text in it."""
        if not path.is_dir():
            kind = format_of(path.name)
            if not kind or not path.is_file():
                return False
            return has_words(path) if kind in PLAIN else Column.fits(path, kind)
        some = False
        for found in walk(path):
            if found.extension in extensions() and not found.problem:
                return False
            some |= bool(format_of(found.path))
        return some

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every text; those of one file are one group where it is a document."""
        for id, _, _ in self._texts():
            yield id, id

    def labels(self) -> dict[str, str] | None:
        """Labels from the column called label, class …, or from the folders of documents."""
        if self._columns:
            found = {id: cell.label for id, cell, _ in self._texts() if cell.label}
            return found or None
        folders = {id: Path(id).parent.name for id, _ in self.entries()}
        several = self.unit == "document" and len(set(folders.values())) > 1
        return folders if several else None

    def _rows(self, ids: frozenset[str] | None) -> Iterator[tuple[str, dict[str, str], str]]:
        for id, cell, problem in self._texts(ids):
            yield id, {"text": cell.text}, problem

    def _texts(self, ids: frozenset[str] | None = None) -> Iterator[tuple[str, Cells, str]]:
        """(id, text and label, problem) of each example; text is kept of ``ids`` only."""
        for file in self._files:
            column = self._columns.get(file.prefix)
            for number, cell, problem in units(file.path, file.format, self.unit, column):
                id = file.prefix if number is None else f"{file.prefix}#{number}"
                if ids is not None and id not in ids:
                    continue
                yield id, cell, problem


@final
class HeldTexts(WrittenSource):
    """Texts in memory.

    Parameters
    ----------
    texts : sequence of str
    strict, workers
        Of no use here.

    Raises
    ------
    UsageError
        If something else is among them.
    """

    def __init__(
        self, texts: Sequence[str], *, strict: bool = False, workers: int | None = None
    ) -> None:
        super().__init__(None, "texts", strict, workers)
        self._texts = list(texts)
        for row, text in enumerate(self._texts):
            if not isinstance(text, str):
                raise UsageError(
                    f"Expected texts, found {type(text).__name__} in row {row} among them."
                )

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every text."""
        for row in range(len(self._texts)):
            yield f"row={row}", f"row={row}"

    def _rows(self, ids: frozenset[str] | None) -> Iterator[tuple[str, dict[str, str], str]]:
        for row, text in enumerate(self._texts):
            if ids is None or f"row={row}" in ids:
                yield f"row={row}", {"text": text}, ""


def in_words(text: str) -> bool:
    """Whether it is not called like a file, an example of one, or one word within a folder."""
    named = format_of(text) or Path(text).suffix.lower() in ENDS
    return not named and (" " in text or (not MARKED.search(text) and not {*"/\\"} & {*text}))


def _files(path: Path) -> Iterator[_File]:
    """Files with text, with the ids that their examples begin with."""
    if not path.is_dir():
        yield _File(readable(path.name), str(path), format_of(path.name))
        return
    for found in walk(path):
        kind = "" if found.problem else format_of(found.path)
        if kind in PLAIN or (kind and Column.fits(Path(found.path), kind)):
            yield _File(found.id, found.path, kind)
