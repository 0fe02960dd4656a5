"""One file of a table: its columns, its rows, and one of its columns, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError
from stepwell.sources.checked import check_tables, damaged
from stepwell.sources.pages import shape_of
from stepwell.sources.tablecheck import arrow_batches, opened

ROWS, ROWS_BY_NUMBER = 64, 8192
"""Rows of a Parquet file decoded at a time; where cells are numbers into a dictionary."""
BATCH_BYTES = 2**27
"""Memory that cells decoded at a time may take where they repeat what is stored once."""


class Table:
    """One file; opened anew for each reading, and mapped rather than loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def schema(self) -> Any:
        """The columns."""
        with self._reader() as reader:
            return _schema(reader)

    def rows(self) -> int:
        """Number of rows."""
        with self._reader() as reader:
            if _is_parquet(self.file):
                return int(reader.metadata.num_rows)
            return sum(batch.num_rows for batch in arrow_batches(reader))

    def batches(self, column: str) -> Iterator[Any]:
        """The column, one Arrow array after the other.

        Raises
        ------
        StepwellError
            If the file turns out damaged, or has no such column.
        """
        with self._reader() as reader:
            names = _schema(reader).names
            if column not in names:
                raise StepwellError(
                    f"Expected column {column!r} in {self.file}, found "
                    f"{', '.join(names)}: the tables of a folder need the same columns."
                )
            place = names.index(column)  # of two of one name, the first
            if not _is_parquet(self.file):
                for batch in arrow_batches(reader):
                    yield batch.column(place)
                return
        yield from self._parquet_batches(column, place)

    def _parquet_batches(self, column: str, place: int) -> Iterator[Any]:
        """As many rows at a time as are sure to fit into the memory."""
        with self._reader() as reader:
            shape = shape_of(self.file, reader.metadata, column)
            widest = max(shape.prefixed, _fixed_width(_schema(reader).field(place).type))
            repeats = shape.dictionary * ROWS > BATCH_BYTES
            by_number = _texts_within(reader.metadata, column) if repeats else []
            if by_number != [column] and shape.plain:
                by_number = []  # Arrow can't have both within an object
            groups = range(reader.metadata.num_row_groups)
        if not by_number:
            widest = max(widest, shape.dictionary)
        rows = ROWS_BY_NUMBER if by_number and not shape.plain else ROWS
        rows = max(1, min(rows, BATCH_BYTES // max(widest, 1)))
        with self._reader(by_number) as reader:
            # Each group has a dictionary of its own, which Arrow can't join within an object.
            parts = [[group] for group in groups] if by_number else [groups]
            options = {"batch_size": rows, "columns": [column]}
            for batch in chain.from_iterable(
                reader.iter_batches(row_groups=part, **options) for part in parts
            ):
                # Arrow also gives what is called so within another column.
                yield batch.column(batch.schema.names.index(column))

    @contextmanager
    def _reader(self, by_number: Sequence[str] = ()) -> Iterator[Any]:
        """The file as a Parquet reader, an Arrow file reader or an Arrow stream reader.

        Cells of the columns ``by_number`` stay numbers into a dictionary.
        """
        import pyarrow as pa
        import pyarrow.parquet as parquet

        check_tables([self.file])
        try:
            if _is_parquet(self.file):
                with parquet.ParquetFile(
                    self.file, memory_map=True, pre_buffer=False, read_dictionary=[*by_number]
                ) as reader:
                    yield reader
                return
            with pa.memory_map(str(self.file)) as mapped, opened(mapped) as reader:
                yield reader
        except MemoryError:
            raise damaged(self.file, "it needs more memory than there is") from None
        except (pa.ArrowException, OSError, ValueError, LookupError, ArithmeticError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise damaged(self.file, lines[0][:300]) from None


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() in (".parquet", ".pq")


def _schema(reader: Any) -> Any:
    """Columns of a Parquet or an Arrow reader."""
    return reader.schema_arrow if hasattr(reader, "schema_arrow") else reader.schema


def _fixed_width(kind: Any) -> int:
    """Bytes of a cell whose type has a width of its own; 0 where that depends on the cell."""
    if kind.num_fields:
        return sum(_fixed_width(kind.field(i).type) for i in range(kind.num_fields))
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 0


def _texts_within(metadata: Any, column: str) -> list[str]:
    """Paths of what a column consists of, if that is texts and bytes only, one a row."""
    schema = metadata.schema
    leaves = [schema.column(i) for i in range(len(schema))]
    mine = [leaf for leaf in leaves if f"{leaf.path}.".startswith(f"{column}.")]
    fit = all(leaf.physical_type == "BYTE_ARRAY" and not leaf.max_repetition_level for leaf in mine)
    return [leaf.path for leaf in mine] if fit else []
