"""Every regular file below a folder, lazily, sorted, each folder once, links followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Found(NamedTuple):
    """A file, by its readable id and the path that opens it, or why it can't be one."""

    id: str
    path: str
    problem: str = ""

    @property
    def extension(self) -> str:
        """In lower case, with its dot."""
        return os.path.splitext(self.path)[1].lower()


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's data."""
    return name.startswith(".") or name == "__MACOSX"


def readable(name: str) -> str:
    r"""A file name as valid text: bytes that are no UTF-8 become ``\xff``."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name


def walk(root: str | os.PathLike[str]) -> Iterator[Found]:
    """Files below ``root`` in sorted order, then those behind links to other folders.

    A folder is walked once, under its own name if it has one here: a loop of links ends,
    and no image is seen twice because a link leads to its folder. Pipes, sockets, devices
    and dangling links are reported, never opened; hidden names are passed over.
    """
    seen: set[tuple[int, int]] = set()
    folders = [(os.fspath(root), "")]
    # The list grows as folders bring links to others.
    for start in folders:
        open_listings = [_listing(*start, seen)]
        while open_listings:
            for entry in open_listings[-1]:
                if isinstance(entry, Found):
                    yield entry
                elif entry.is_link:
                    folders.append((entry.path, entry.prefix))
                else:
                    open_listings.append(_listing(entry.path, entry.prefix, seen))
                    break
            else:
                open_listings.pop()


class _Folder(NamedTuple):
    path: str
    prefix: str
    is_link: bool


def _listing(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[Found | _Folder]:
    """What is in one folder, sorted by name; nothing if it was seen before."""
    try:
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:
            return
        seen.add((about.st_dev, about.st_ino))
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        reason = f"the folder can't be opened: {error.strerror}"
        yield Found(prefix.rstrip("/") or ".", folder, reason)
        return
    for entry in entries:
        if is_hidden(entry.name):
            continue
        id = prefix + readable(entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield _Folder(entry.path, f"{id}/", False)
        elif entry.is_file(follow_symlinks=False):
            yield Found(id, entry.path)
        elif entry.is_symlink() and os.path.isdir(entry.path):
            yield _Folder(entry.path, f"{id}/", True)
        else:
            yield Found(id, entry.path, why_not_regular(entry.path))


def why_not_regular(path: str | os.PathLike[str]) -> str:
    """Why a path leads to no regular file; empty if it does."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "a link that leads nowhere" if os.path.islink(path) else "gone"
    except OSError as error:
        return f"can't be opened: {error.strerror}"
    if stat.S_ISREG(mode):
        return ""
    return f"{_SPECIAL.get(stat.S_IFMT(mode), 'something')}, not a file"


def read(path: str) -> bytes:
    """The bytes of a regular file."""
    with open(path, "rb", buffering=0) as file:
        return file.read()
