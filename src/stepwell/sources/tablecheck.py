"""Whether tables can be read without harm: looked through in a process of its own.

Arrow takes much of what a file says of itself for what it is: offsets that lead out of a buffer
end the process that follows them. So a child opens each file first, this file run as a script
with bounds on memory and time; what ends the child is an error in its parent. It imports nothing
of stepwell.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

MISSING = 3
"""Exit code of a child that finds no pyarrow."""
ROWS = 10**6
MEMORY, SECONDS = 3 * 2**28, 60
"""Bytes and seconds of a processor that a small file may take; a large one more."""


def claims_too_many(rows: int, size: int) -> bool:
    """Whether there are more rows than ``size`` bytes can say something about.

    Rows that take no space can be claimed without end, and each becomes an example with a name.
    """
    return not 0 <= rows <= ROWS + size


def problem(path: str) -> str:
    """What is wrong with a table; empty if nothing is. Crashes where Arrow does."""
    try:
        size = os.path.getsize(path)
        parquet = path.lower().endswith((".parquet", ".pq"))
        rows = _parquet_rows(path) if parquet else _arrow_rows(path, size)
    except MemoryError:
        return "it needs more memory than a file of its size should"
    except Exception as error:  # whatever it is, it would come up again in the middle of reading
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return lines[0][:300]
    return f"{rows:,} rows in {size:,} bytes" if claims_too_many(rows, size) else ""


def arrow_batches(reader: Any) -> Any:
    """Record batches of a file or of a stream of Arrow's."""
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)


def opened(mapped: Any) -> Any:
    """A reader of an Arrow file or stream."""
    import pyarrow as pa

    is_file = mapped.read(6) == b"ARROW1"
    mapped.seek(0)
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped)


def _arrow_rows(path: str, size: int) -> int:
    """Number of rows, every batch validated in full."""
    import pyarrow as pa

    rows = 0
    with pa.memory_map(path) as mapped, opened(mapped) as reader:
        _check_schema(reader.schema)
        for batch in arrow_batches(reader):
            batch.validate()
            for column in batch.columns:
                _as_bytes(column).validate(full=True)
            rows += batch.num_rows
            if claims_too_many(rows, size):
                break
    return rows


def _parquet_rows(path: str) -> int:
    """Number of rows, all that stands in the footer looked at."""
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path, memory_map=True, pre_buffer=False) as reader:
        _check_schema(reader.schema_arrow)
        metadata = reader.metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        for group in groups:
            for i in range(group.num_columns):
                _ = group.column(i).path_in_schema
        rows = int(metadata.num_rows)
        if rows != sum(group.num_rows for group in groups):
            raise ValueError("its parts have other numbers of rows than the whole")
    return rows


def _check_schema(schema: Any) -> None:
    """Raise where names or types can't be shown."""
    for field in schema:
        str(field.name) + str(field.type)


def _as_bytes(column: Any) -> Any:
    """Texts as bytes: a single one that is no Unicode costs its row, not the file."""
    import pyarrow as pa

    same = {"string": pa.binary, "large_string": pa.large_binary}
    if hasattr(pa, "binary_view"):
        same["string_view"] = pa.binary_view
    kind = same.get(str(column.type))
    return column.view(kind()) if kind else column


def _limit(size: int) -> None:
    """Bound what the next file may take, as far as the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        most = {"DATA": MEMORY + 2 * size, "CPU": int(used) + SECONDS + size // 2**24}
        for name, value in {"CORE": 0, **most}.items():
            kind = getattr(resource, f"RLIMIT_{name}", None)
            if kind is not None:
                hard = resource.getrlimit(kind)[1]
                bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.setrlimit(kind, (bounded, hard))


def main(*folders: str) -> None:
    """Answer for each path on the standard input, a list in JSON, with a line of JSON.

    ``folders`` are where pyarrow and numpy are.
    """
    sys.path += folders
    try:
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        sys.exit(MISSING)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    for path in json.load(sys.stdin):
        with contextlib.suppress(OSError):
            _limit(os.path.getsize(path))
        print(json.dumps(problem(path)), flush=True)
    # Nothing is left to tidy up, and what was read may crash while it is.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
