"""Files of tables on disk: which belong to a split, and reading one column of one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepwell.interfaces import UsageError
from stepwell.sources.base import LONGEST
from stepwell.sources.checked import check_tables
from stepwell.sources.splits import split_of_tables
from stepwell.sources.tablereader import Table
from stepwell.sources.walk import readable, walk

EXTENSIONS = frozenset((".parquet", ".pq", ".arrow", ".feather", ".ipc", ".arrows"))
_LONG = 4 * (LONGEST + 1)
"""Bytes of a text that has more signs than an example may have, whatever these are."""


def table_files(path: Path) -> list[tuple[str, Path]]:
    """(id prefix, file) of every table below a folder; for a file, its name and itself."""
    if not path.is_dir():
        return [(readable(path.name), path)]
    found = [
        (found.id, Path(found.path))
        for found in walk(path)
        if found.extension in EXTENSIONS and not found.problem
    ]
    # `datasets` leaves results of its own computations beside the data.
    found = [(id, file) for id, file in found if not file.name.startswith("cache-")]
    return [pair for pair in found if _listed(pair[1])]


def _listed(file: Path) -> bool:
    """Whether a file is part of the data, where ``save_to_disk`` noted which are."""
    try:
        state = json.loads((file.parent / "state.json").read_bytes())
        return file.name in {entry["filename"] for entry in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return True


class Shards:
    """The tables of a split, one after the other; ids name table and row.

    Parameters
    ----------
    path : path
        A table, or a folder of them.
    split : str, optional
        Default: ``train`` if there is one.

    Raises
    ------
    UsageError
        If there is no such split, or no table.
    """

    def __init__(self, path: Path, split: str | None = None) -> None:
        files = table_files(path)
        self.split, kept = (None, [prefix for prefix, _ in files])
        if path.is_dir():
            self.split, kept = split_of_tables(path, kept, split)
        elif split is not None:
            raise UsageError(
                f"Expected a folder of tables for split {split!r}, found the file {path}: leave it "
                f"out."
            )
        self.others = len(files) - len(kept)
        self._tables = [(prefix, Table(file)) for prefix, file in files if prefix in {*kept}]
        if not self._tables:
            raise UsageError(
                f"Expected tables (.parquet, .arrow, .feather) in {path}, found none of those that "
                f"state.json names, or none at all."
            )

        check_tables([table.file for _, table in self._tables])

    @property
    def first(self) -> Table:
        """Whose columns are looked at."""
        return self._tables[0][1]

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row; no cell is read."""
        for prefix, table in self._tables:
            for row in range(table.rows()):
                yield f"{prefix}#row={row}", f"{prefix}#row={row}"

    def cells(self, column: str) -> Iterator[tuple[str, Any, Path]]:
        """Id and value of every row, and the folder that paths in it start from."""
        for prefix, table in self._tables:
            values = (value for part in table.batches(column) for value in values_of(part))
            for row, value in enumerate(values):
                yield f"{prefix}#row={row}", value, table.file.parent


def values_of(part: Any) -> Iterator[Any]:
    """Cells of an Arrow array as Python has them; of a dictionary each of its values once."""
    if not hasattr(part, "dictionary"):
        written = "string" in str(part.type)
        yield from (value_of(cell, written) for cell in part)
        return
    known: dict[int, Any] = {}
    written = "string" in str(part.type)
    for place in part.indices.to_pylist():
        if place is not None and place not in known:
            known[place] = value_of(part.dictionary[place], written)
        yield None if place is None else known[place]


def value_of(cell: Any, written: bool) -> Any:
    """A cell as Python has it; bytes where a string is no Unicode, as damaged files have it, and of
    one that is longer than any example only so much that this shows."""
    buffer = cell.as_buffer() if written and hasattr(cell, "as_buffer") else None
    if buffer is not None and buffer.size > _LONG:
        return buffer.slice(0, _LONG).to_pybytes().decode("utf-8", "replace")
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return b"\xff" if buffer is None else buffer.to_pybytes()
    except (ValueError, ArithmeticError, LookupError, TypeError):
        return None  # a date, a time zone or a number that Python has none for
