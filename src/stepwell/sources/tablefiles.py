"""Files of tables on disk: which belong to a split, and reading one column of one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.base import LONGEST
from stepwell.sources.checked import check_arrow, packed_columns
from stepwell.sources.splits import split_of_tables
from stepwell.sources.walk import readable, walk

EXTENSIONS = frozenset((".parquet", ".pq", ".arrow", ".feather", ".ipc", ".arrows"))
_PACKED, _MUCH = 4, 2**24
"""How many times larger than its file the content of a table is that is looked at with care, and
from how many bytes on."""
_LONG = 4 * (LONGEST + 1)
"""Bytes of a text that has more signs than an example may have, whatever these are."""
ROWS = 64
"""Rows of a Parquet file decoded at a time."""


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


class Table:
    """One file; opened anew for each reading, and mapped rather than loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def schema(self) -> Any:
        """The columns."""
        with self._reader() as reader:
            return reader.schema_arrow if _is_parquet(self.file) else reader.schema

    def rows(self) -> int:
        """Number of rows."""
        with self._reader() as reader:
            if _is_parquet(self.file):
                return int(reader.metadata.num_rows)
            return sum(batch.num_rows for batch in _arrow_batches(reader))

    def batches(self, column: str) -> Iterator[Any]:
        """The column, one Arrow array after the other.

        Raises
        ------
        StepwellError
            If the file turns out damaged, or has no such column.
        """
        with self._reader() as reader:
            schema = reader.schema_arrow if _is_parquet(self.file) else reader.schema
            if column not in schema.names:
                raise StepwellError(
                    f"Expected column {column!r} in {self.file}, found "
                    f"{', '.join(schema.names)}: the tables of a folder need the same columns."
                )
            if _is_parquet(self.file):
                for batch in reader.iter_batches(batch_size=ROWS, columns=[column]):
                    yield batch.column(0)
            else:
                for batch in _arrow_batches(reader):
                    yield batch.column(column)

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        """The file as a Parquet reader, an Arrow file reader or an Arrow stream reader."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            if _is_parquet(self.file):
                with parquet.ParquetFile(self.file, memory_map=True, pre_buffer=False) as reader:
                    packed = _packed_columns(reader.metadata, self.file)
                # Cells of a dictionary stay one each, not one a row.
                options = {"read_dictionary": packed} if packed else {}
                with parquet.ParquetFile(
                    self.file, memory_map=True, pre_buffer=False, **options
                ) as reader:
                    yield reader
                return
            check_arrow(self.file)
            with pa.memory_map(str(self.file)) as mapped:
                is_file = mapped.read(6) == b"ARROW1"
                mapped.seek(0)
                with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped) as reader:
                    yield reader
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StepwellError(
                f"Expected a table in {self.file}, found one that can't be read ({text}): "
                f"download or write it again."
            ) from None


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


def _packed_columns(metadata: Any, file: Path) -> list[str]:
    """Columns of a few large cells that stand in many rows, where the file is packed so well that
    there may be some."""
    groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    if max(groups, default=0) < _MUCH or sum(groups) < _PACKED * file.stat().st_size:
        return []
    return packed_columns(file)


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


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() in (".parquet", ".pq")


def _arrow_batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)
