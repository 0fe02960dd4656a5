"""Tables of a run: read whole, and no larger than their files let expect.

A few bytes of Parquet can stand for any number of rows, and a cell of a dictionary for as many
texts as there are rows; a run may come from somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROWS_A_BYTE, GROWN, SPARE = 8, 256, 2**24
"""Rows a byte of a file, times that content may be larger than its file, and bytes that do not
count: many times what any table of ours has."""
_AT_ONCE = 2**13


def read_rows(path: Path, columns: Mapping[str, str]) -> Any:
    """Columns of a Parquet file, with the metadata of its schema.

    Parameters
    ----------
    path : path
    columns : mapping of str to str
        The type of each, as Arrow writes it, or nothing where any will do; texts come as a
        dictionary, so that what stands there often is there once.

    Raises
    ------
    ValueError
        For columns that are missing or of another type, and more content than can be.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    size = path.stat().st_size
    most = GROWN * size + SPARE
    texts = [name for name, kind in columns.items() if kind == "string"]
    options: Any = {"memory_map": False, "pre_buffer": False}
    with parquet.ParquetFile(path, **options) as file:
        told = file.metadata
        if not 0 <= told.num_rows <= ROWS_A_BYTE * size:
            raise ValueError(f"{told.num_rows:,} rows in {size:,} bytes")
        groups = [told.row_group(i) for i in range(told.num_row_groups)]
        if any(group.total_byte_size > most for group in groups):
            raise ValueError(f"content of many times {size:,} bytes")
        _check_columns(file.schema_arrow, columns)
    with parquet.ParquetFile(path, read_dictionary=texts, **options) as file:
        metadata, empty = file.schema_arrow.metadata, file.schema_arrow.empty_table()
        parts, held = [], 0
        for batch in file.iter_batches(_AT_ONCE, columns=list(columns)):
            parts.append(batch)
            held += sum(map(_own_bytes, batch.columns))
            if held > most:
                raise ValueError(f"content of more than {most:,} bytes in {size:,}")
    read = pa.Table.from_batches(parts) if parts else empty.select(list(columns))
    if any(read[name].null_count for name in columns):
        raise ValueError("cells that are missing")
    return read.replace_schema_metadata(metadata)


def _own_bytes(column: Any) -> int:
    """Of a column; what stands in its dictionary is no more than stands in the file."""
    return int(getattr(column, "indices", column).nbytes)


def _check_columns(schema: Any, columns: Mapping[str, str]) -> None:
    for name, kind in columns.items():
        if schema.names.count(name) != 1:
            raise ValueError(f"no column {name!r}, or several")
        found = schema.field(name).type
        found = getattr(found, "value_type", found) if hasattr(found, "index_type") else found
        if kind and str(found) != kind:
            raise ValueError(f"column {name!r} of {str(found)[:80]}, not {kind}")


def texts_of(column: Any, most: int = 2**28) -> list[str]:
    """A column of texts as a list; of long ones no more than fit into so many bytes as an array,
    where each takes the room of the longest.

    Raises
    ------
    ValueError
    """
    import pyarrow.compute as compute

    longest = 0
    for chunk in column.chunks:
        words = chunk.dictionary if hasattr(chunk, "dictionary") else chunk
        longest = max(longest, compute.max(compute.binary_length(words)).as_py() or 0)
    if longest > 4096 and 4 * longest * len(column) > most:
        raise ValueError(f"texts of up to {longest:,} bytes as names")
    found: list[str] = column.to_pylist()
    return found
