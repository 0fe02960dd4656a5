"""Arrow's own files, looked through in another process before this one reads them.

Its IPC format is read by taking offsets in the file for what they are: a file that was damaged, or
made to do harm, ends the process that reads it. So another process opens it first and validates
every batch in full; what ends that one is an error here. Once for each file as it is.
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
import pyarrow as pa
try:
    with pa.memory_map(sys.argv[1]) as mapped:
        is_file = mapped.read(6) == b"ARROW1"
        mapped.seek(0)
        with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped) as reader:
            if is_file:
                batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                batches = iter(reader)
            for batch in batches:
                batch.validate(full=True)
except Exception as error:
    print((str(error).splitlines() or [type(error).__name__])[0][:300], file=sys.stderr)
    sys.exit(3)
"""
"""What the other process does; the path is an argument, not part of it."""
_SECONDS, _SECONDS_MB = 60.0, 0.5
"""How long it may take, and how much longer for each MB."""
_known: set[tuple[str, int, int]] = set()


def check_arrow(path: Path) -> None:
    """Raise unless Arrow can read the file through.

    Raises
    ------
    StepwellError
    """
    about = os.stat(path)
    key = (os.fspath(path.absolute()), about.st_size, about.st_mtime_ns)
    if key in _known or not sys.executable:
        return
    words = [sys.executable, "-c", _CODE, os.fspath(path.absolute())]
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
    _known.add(key)


def _damaged(path: Path, why: str) -> StepwellError:
    return StepwellError(
        f"Expected a table in {path}, found one that can't be read ({why}): download or write it "
        f"again."
    )
