"""Folders that are whole or absent: made beside their name, and put in place in one step.

Where the system can exchange two names at once (Linux, macOS), a folder is replaced in one step.
Elsewhere it takes two renames, and a process that is killed between them leaves the name empty,
with the old folder and the new one beside it: :func:`recover` brings one back, for readers and
writers alike.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from stepwell.interfaces import StepwellError
from stepwell.kit.files import abandoned, held, lock, lock_of, sync_folder

SUFFIXES = ("partial", "new", "old")
"""In the making; whole, and about to be put in place; moved aside."""
_WAIT_S, _TRIES = 0.05, 40
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_AT_CWD = -100


@contextlib.contextmanager
def new_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A scratch folder that becomes ``target`` when the block ends well, else vanishes.

    What a killed process left behind is brought back or cleared away first.
    """
    target = target.resolve() if target.is_symlink() else target
    target.parent.mkdir(parents=True, exist_ok=True)
    tidy(target)
    scratch = _beside(target, "partial")
    try:
        scratch.mkdir()
        yield scratch
        sync_tree(scratch)
        if target.exists() and overwrite:
            if not exchanged(scratch, target):
                _replaced(scratch, target)
        else:
            os.rename(scratch, target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replaced(scratch: Path, target: Path) -> None:
    """Two renames, with the new folder marked as whole before them."""
    ready, old = scratch.with_suffix(".new"), scratch.with_suffix(".old")
    os.replace(scratch, ready)
    sync_folder(target.parent)
    os.replace(target, old)
    os.replace(ready, target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def exchanged(one: Path, other: Path) -> bool:
    """Whether two names now each mean what the other did; False where the system can't."""
    call = _exchange()
    if call is None:
        return False
    return bool(call(os.fsencode(one), os.fsencode(other)) == 0)


@lru_cache(maxsize=1)
def _exchange():  # type: ignore[no-untyped-def]
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform.startswith("linux"):
            known = library.renameat2
            return lambda a, b: known(_AT_CWD, a, _AT_CWD, b, _EXCHANGE)
        known = library.renamex_np
        return lambda a, b: known(a, b, _EXCHANGE)
    except (AttributeError, OSError, TypeError):
        return None


def sync_tree(root: Path) -> None:
    """fsync every file and folder below ``root``."""
    for folder, _, names in os.walk(root):
        for name in names:
            with open(Path(folder) / name, "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(folder))


def _beside(target: Path, suffix: str) -> Path:
    return target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.{suffix}"


def scratch_of(target: Path, suffix: str = "partial") -> list[Path]:
    """What :func:`new_folder` has beside ``target``.

    Names are matched in full: ``.a.b.0123abcd.old`` belongs to a run a.b, not to a run a.
    """
    if not target.parent.is_dir():
        return []
    mine = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.{suffix}")
    return sorted(path for path in target.parent.iterdir() if mine.fullmatch(path.name))


def targets_in(parent: Path) -> dict[Path, list[Path]]:
    """By target what interrupted commands left in a folder."""
    mine = re.compile(rf"\.(.+)\.[0-9a-f]{{8}}\.({'|'.join(SUFFIXES)})")
    found: dict[Path, list[Path]] = {}
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if match := mine.fullmatch(path.name):
            found.setdefault(parent / match[1], []).append(path)
    return found


def tidy(target: Path) -> str:
    """Undo what a killed process left, by whoever holds the lock of ``target``; in words.

    A missing target comes back: the new one where it was whole, else the old one. The rest goes.
    """
    told = ""
    if not target.exists():
        for path in [*scratch_of(target, "new"), *scratch_of(target, "old")]:
            os.rename(path, target)
            sync_folder(target.parent)
            told = "brought back: its replacement had been interrupted"
            break
    left = _left(target)
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return told or ("tidied: what an interrupted command had left is gone" if left else "")


def recover(target: Path, lock_file: Path | None = None) -> str:
    """The same for a reader: unless a living process is at it, which is waited for.

    Parameters
    ----------
    lock_file : path, optional
        Which lock a writer holds; default: that of ``target``.
    """
    lock_file = lock_file or lock_of(target)
    if not _left(target) and not lock_file.exists():
        return ""
    for _ in range(_TRIES):
        if not held(lock_file):
            # A folder that only may be read stays as it is.
            with contextlib.suppress(OSError, StepwellError), lock(lock_file, str(target)):
                return tidy(target)
            return ""
        if target.exists():
            return ""  # somebody is at it, and it is there
        time.sleep(_WAIT_S)
    return ""


def _left(target: Path) -> list[Path]:
    """All that a killed process may have left of a target."""
    found = scratch_of(target, f"({'|'.join(SUFFIXES)})")
    return found + abandoned(target) + abandoned(target.parent, target.name)
