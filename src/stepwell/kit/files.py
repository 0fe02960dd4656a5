"""Files that are whole or absent: temporary name, fsync, rename; and a lock."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import platform
import re
import sys
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError
from stepwell.kit.escape import for_spreadsheet

_FAR = 2**20  # where no byte is: a lock there hides nothing from readers
_TRIES, _PAUSE_S = 5, 0.02


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    raw = content.encode("utf-8") if isinstance(content, str) else content
    for left in abandoned(path.parent, path.name):
        left.unlink(missing_ok=True)
    scratch = path.with_name(
        f".{path.name}.{_host():04x}{os.getpid():08x}.{uuid.uuid4().hex[:8]}.tmp"
    )
    try:
        with open(scratch, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_folder(path.parent)


def abandoned(folder: Path, name: str | None = None) -> list[Path]:
    """Files in the making (of one name, or of any) whose process on this machine is no more."""
    wanted = ".+" if name is None else re.escape(name)
    mine = re.compile(rf"\.{wanted}\.{_host():04x}([0-9a-f]{{8}})\.[0-9a-f]{{8}}\.tmp")
    found = ((path, mine.fullmatch(path.name)) for path in _listed(folder))
    return [path for path, match in found if match and not _alive(int(match[1], 16))]


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _alive(process: int) -> bool:
    if process == os.getpid() or os.name == "nt":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _host() -> int:
    """16 bits of the name of this machine: folders may be shared."""
    return zlib.crc32(platform.node().encode()) & 0xFFFF


def json_text(content: Any, indent: int | None = None) -> str:
    """JSON that any reader takes: NaN and infinity, which are none of its numbers, are null."""
    return json.dumps(_finite(content), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]], *, raw: bool = False) -> str:
    """A table as CSV; an apostrophe stands before cells that a spreadsheet would compute, unless
    ``raw``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    kept = [head, *rows]
    writer.writerows(kept if raw else ([for_spreadsheet(cell) for cell in row] for row in kept))
    return text.getvalue()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file, atomically."""
    write_atomic(path, json_text(content, indent=1) + "\n")


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut (POSIX only)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def files_of(src: Any) -> bool:
    """Whether something is a list of files or folders that are there."""
    paths = isinstance(src, list | tuple) and all(isinstance(p, str | os.PathLike) for p in src)
    return bool(paths and len(src) and all(there(path) for path in src))


def there(name: str) -> bool:
    """Whether a path exists; a text is none."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # longer than a name can be, or with a sign that none has
        return False


def lock_of(target: Path) -> Path:
    """The lock file of a run."""
    target = target.absolute()  # "." has no name
    return target.with_name(f".{target.name}.lock")


def held(path: Path) -> bool:
    """Whether a process holds a lock file; one that was killed does not.

    To ask is to take it for an instant, so whoever wants it tries for a little while.
    """
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _taken(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file. The system lets go of it when its process ends, however that ends.

    Raises
    ------
    StepwellError
        If another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _claimed(path, what)
    try:
        os.truncate(path, 0)
        os.write(handle, str(os.getpid()).encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _claimed(path: Path, what: str) -> int:
    """The open lock file, ours now."""
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR)
        if not _soon_taken(handle):
            holder = os.read(handle, 20).decode("ascii", "replace") or "another"
            os.close(handle)
            raise StepwellError(
                f"Expected to be the only one writing {what}, found process {holder} at it: "
                f"wait for it to end, or write somewhere else."
            )
        if _same(handle, path):
            return handle
        # No longer the file of that name: its last holder has removed it since, and another
        # may have made a new one.
        os.close(handle)


def _soon_taken(handle: int) -> bool:
    """Take the lock; :func:`held` of another process may have it for an instant."""
    for _ in range(_TRIES - 1):
        if _taken(handle):
            return True
        time.sleep(_PAUSE_S)
    return _taken(handle)


def _taken(handle: int) -> bool:
    """Take the lock of an open file, if no other process has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
