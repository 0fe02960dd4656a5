"""Tables, looked through in another process before this one reads them.

Arrow's IPC format is read by taking offsets in the file for what they are: a file that was
damaged, or made to do harm, ends the process that reads it. So another process opens it first and
validates every batch in full; what ends that one is an error here. Once for each file as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stepwell.interfaces import StepwellError

_CODE = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (ImportError, ValueError, OSError):
    pass

def validate(path):
    import pyarrow as pa
    with pa.memory_map(path) as mapped:
        is_file = mapped.read(6) == b"ARROW1"
        mapped.seek(0)
        with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped) as reader:
            if is_file:
                batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                batches = iter(reader)
            for batch in batches:
                batch.validate(full=True)

def packed(path):
    import pyarrow.parquet as parquet
    with parquet.ParquetFile(path, memory_map=True) as reader:
        metadata = reader.metadata
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            there, whole = max(chunk.total_compressed_size, 1), chunk.total_uncompressed_size
            if whole > max(2**30, 50 * there):
                raise ValueError(f"{whole / 1e9:.1f} GB of a column in {there:,} bytes: no data")
            words = (chunk.data_page_offset or 0) - (chunk.dictionary_page_offset or 0)
            pointing = there - words <= 2**16 + 8 * chunk.num_values
            if chunk.has_dictionary_page and whole > 2**24 and pointing:
                print(chunk.path_in_schema)

try:
    {"validate": validate, "packed": packed}[sys.argv[1]](sys.argv[2])
except Exception as error:
    print((str(error).splitlines() or [type(error).__name__])[0][:300], file=sys.stderr)
    sys.exit(3)
"""
"""What the other process does; which of both, and the path, are arguments, not part of it."""
_SECONDS, _SECONDS_MB = 60.0, 0.5
"""How long it may take, and how much longer for each MB."""
_known: dict[tuple[str, str, int, int], str] = {}


def check_arrow(path: Path) -> None:
    """Raise unless Arrow can read the file through.

    Raises
    ------
    StepwellError
    """
    _asked("validate", path)


def packed_columns(path: Path) -> list[str]:
    """Columns of a Parquet file that are a dictionary of large cells, and hardly more than places
    in it: read as they are, each row would hold its cell.

    Raises
    ------
    StepwellError
        Where a column is more than could be held.
    """
    return sorted(set(_asked("packed", path).splitlines()))


def _asked(what: str, path: Path) -> str:
    """What another process says of a file, once for each file as it is."""
    about = os.stat(path)
    key = (what, os.fspath(path.absolute()), about.st_size, about.st_mtime_ns)
    if key in _known or not sys.executable:
        return _known.get(key, "")
    words = [sys.executable, "-c", _CODE, what, os.fspath(path.absolute())]
    most = _SECONDS + _SECONDS_MB * about.st_size / 2**20
    try:
        done = subprocess.run(
            words, capture_output=True, timeout=most, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise _damaged(path, f"reading it does not end within {most:.0f} s") from None
    if done.returncode == 3:
        raise _damaged(path, done.stderr.decode("utf-8", "replace").strip())
    if done.returncode:
        raise _damaged(path, "reading it ends the process that does")
    _known[key] = done.stdout.decode("utf-8", "replace")
    return _known[key]


def _damaged(path: Path, why: str) -> StepwellError:
    return StepwellError(
        f"Expected a table in {path}, found one that can't be read ({why}): download or write it "
        f"again."
    )
