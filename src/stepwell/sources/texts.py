"""Texts: lines, paragraphs or whole files; a column of a CSV, TSV or JSON-lines file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.lines import Writing
from stepwell.sources.base import WrittenSource
from stepwell.sources.tablefiles import EXTENSIONS
from stepwell.sources.textcolumns import Column, Wish
from stepwell.sources.textfiles import (
    PLAIN,
    TABLES,
    Cells,
    check_encoding,
    format_of,
    units,
    usual_unit,
)
from stepwell.sources.textfolder import TextFile, text_files
from stepwell.sources.walk import readable

UNITS = ("line", "paragraph", "document")
MARKED = re.compile(r"#(row|line|paragraph)=\d+$")
"""How ids of texts end: what looks like one is no text to search for."""
ENDS = EXTENSIONS | {".zip", ".tar", ".gz", ".npy", ".npz", ".safetensors"}
"""Of names of files that are no texts in words."""


@final
class TextSource(WrittenSource):
    """Texts in a file or in a folder of files; read one after the other, plain or gzipped.

    Parameters
    ----------
    path : path
        A .txt, .md, .csv, .tsv, .jsonl or .json file, with or without .gz, or a folder of them.
    column : str or int, optional
        Of a table: the column with the text, or several with commas between, which are joined; of
        JSON also a path, ``data.text``. Default: by its name, or the one with most words.
    label : str or int, optional
        Of a table: the column with labels, which only scores are made with.
    unit : {"line", "paragraph", "document"}, optional
        What an example is in plain files. Default: of a folder a file; of a single file a
        paragraph where many lines are empty, else a line.
    split : str, optional
        Of a folder of tables: which of them. Default: ``train`` if there is one.
    encoding : str, optional
        Default: UTF-8, or what zero bytes or a byte order mark say.
    delimiter : str, optional
        Of a CSV: what parts cells. Default: found out. Given, a .txt file is a table too.
    quoting, header : bool, optional
        Of a CSV: whether cells may be quoted; whether the first row names columns.
    strict : bool
        Raise at the first example that can't be read, instead of setting it aside.
    workers : int, optional
        Of no use here.

    Raises
    ------
    UsageError
        If there is no text, or no such column.
    """

    reads = "a .txt, .csv, .tsv, .jsonl or .json file (also .gz), or a folder of them"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        column: str | int | None = None,
        label: str | int | None = None,
        unit: str | None = None,
        split: str | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        quoting: bool | None = None,
        header: bool | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        super().__init__(path, readable(path.name.split(".")[0] or path.name), strict, workers)
        if unit is not None and unit not in UNITS:
            raise UsageError(f"Expected a unit of {', '.join(UNITS)}, found {unit!r}.")
        self._wish = Wish(column, label, encoding, delimiter, quoting, header)
        self._files, self.passed, self._split = text_files(path, self._wish, split)
        tables = [file for file in self._files if file.format in TABLES]
        if not path.is_dir():
            check_encoding(path, encoding)
        self._columns = {
            file.prefix: Column.of(file.path, file.format, self._wish) for file in tables
        }
        self._asked = unit is not None
        self.unit = unit or ("document" if path.is_dir() else self._usual_unit())
        self.options["unit"] = self.unit
        given = self._wish._asdict() | {"split": split}
        self.options |= {name: value for name, value in given.items() if value is not None}
        self._tell(tables)

    def _tell(self, tables: Sequence[TextFile]) -> None:
        """Note what was chosen."""
        if self._split:
            asked = "split" in self.options
            self.decided("split", self._split, "as asked" if asked else "of several tables")
        for file in tables[:1]:
            for what, value, why in self._columns[file.prefix].decisions:
                self.decided(what, value, why)
        if len(self._files) > len(tables):
            why = "of a folder" if self.unit == "document" else "as its empty lines tell"
            self.decided("unit", self.unit, "as asked" if self._asked else why)
        for file in self._files[:1]:
            with suppress(StepwellError, OSError):
                how = Writing.of(file.path, self._wish.encoding)
                why = "as asked" if self._wish.encoding else "by its first bytes"
                self.decided("encoding", how.encoding, why)

    def _usual_unit(self) -> str:
        first = self._files[0]
        return usual_unit(first.path, self._wish.encoding) if first.format in PLAIN else "line"

    @staticmethod
    def accepts(path: Path) -> bool:
        """Text files, and folders of them without images; a table only if there is text in it."""
        from stepwell.sources.kinds import is_kind

        return is_kind(path, "text")

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
        encoding = self._wish.encoding
        for file in self._files:
            column = self._columns.get(file.prefix)
            for number, cell, problem in units(file.path, file.format, self.unit, column, encoding):
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
