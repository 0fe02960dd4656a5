"""Which example a written name means: paths of other folders, machines and spellings."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

_DRIVE = re.compile(r"[A-Za-z]:")
_PACKED = re.compile(r"\.(zip|tar(\.\w+)?|tgz|tbz2|txz)$", re.IGNORECASE)
_HOMES = ("home", "users")
"""Folders in which the next one says whose, not what it holds."""
_PARTS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev"))
"""Parts of a data set: never the same folder by another name."""


@dataclass
class Meant:
    """What names were found to mean.

    Attributes
    ----------
    which : dict of name to list of ids
        None, one, or several that it may be.
    moved : str
        The one folder, of another machine, that was taken for where the examples are.
    other : Counter of folders
        How many names would fit, were it not for the folder before them.
    """

    which: dict[str, list[str]] = field(default_factory=dict)
    moved: str = ""
    other: Counter[str] = field(default_factory=Counter)


def named_in(
    ids: Sequence[str], names: Iterable[str], roots: Iterable[Any] = (), beside: str = ""
) -> Meant:
    """The examples that names mean.

    A name means an id that is written so; else the one it is the end of (``tom.jpg`` for
    ``cats/tom.jpg``), or the one with folders before it that are those the ids start from:
    ``train/1.png`` is the 1.png of ``…/train``, never of ``…/test``. An absolute path from
    elsewhere, whose last folder is called the same, is taken for data that was moved, if all such
    names agree where it was.

    Parameters
    ----------
    ids, names : sequence of str
    roots : paths
        What ids start from; none where that is not known.
    beside : str
        The folder that names with ``..`` start from.
    """
    places = _Places(ids, roots)
    found, elsewhere = Meant(), defaultdict[str, list[tuple[str, str]]](list)
    sure = False
    for name in names:
        meant, before = places(name, beside)
        found.which[name] = meant
        sure |= bool(meant) and before.startswith("/")
        for id, folder, may_be in () if meant else places.elsewhere(name, beside):
            found.other[folder] += 1
            if may_be:
                elsewhere[folder].append((name, id))
    if len(elsewhere) == 1 and not sure:
        found.moved = next(iter(elsewhere))
        del found.other[found.moved]
        for name, id in elsewhere[found.moved]:
            found.which[name].append(id)
    return found


def spelled(name: str, beside: str = "") -> str:
    r"""A path as ids are written: ``.\a\b``, ``./a//b`` and ``c/../a/b`` are a/b."""
    path = normalize("NFC", name).replace("\\", "/")
    if "://" in path:
        return path
    path = posixpath.normpath(path) if path else path
    if path.startswith("../") and beside:
        path = posixpath.normpath(f"{spelled(beside)}/{path}")
    return path


def _spellings(name: str, beside: str) -> Iterator[str]:
    """As paths, as they are written and where they are those of links."""
    yield spelled(name, beside)
    if name.lower().startswith("file://"):
        yield spelled(unquote("/" + name[7:].partition("/")[2]))
    elif "%" in name and "://" not in name:
        yield spelled(unquote(name), beside)


class _Places:
    """Ids by their ends, and the folders that they start from."""

    def __init__(self, ids: Sequence[str], roots: Iterable[Any]) -> None:
        self._exact = set(ids)
        self._whole: dict[str, list[str]] = defaultdict(list)
        for id in ids:
            for key in dict.fromkeys((normalize("NFC", id), normalize("NFC", id).strip())):
                self._whole[key].append(id)
        self._ends: dict[str, list[str]] = defaultdict(list)
        for key in self._whole:
            self._ends[key.rpartition("/")[2]].append(key)
        self._roots = [root for path in roots for root in _starts(str(path), ids)]

    def __call__(self, name: str, beside: str) -> tuple[list[str], str]:
        """Ids that a name means, and the folders before it."""
        if name in self._exact:
            return [name], ""
        for written in (normalize("NFC", name), *_spellings(name, beside)):
            if written in self._whole:
                return self._whole[written], ""
        for written in _spellings(name, beside):
            longer = [key for key in self._near(written) if key.endswith(f"/{written}")]
            shorter = [
                (key, before)
                for key, before in self._before(written)
                if any(_same(before, root) for root in self._roots)
            ]
            keys = dict.fromkeys([*longer, *(key for key, _ in shorter)])
            if keys:
                meant = dict.fromkeys(id for key in keys for id in self._whole[key])
                return list(meant), shorter[0][1] if shorter else ""
        return [], ""

    def elsewhere(self, name: str, beside: str) -> Iterator[tuple[str, str, bool]]:
        """Ids that a name may mean of data in another folder, the folder, and whether that may be
        the same one, moved."""
        for written in _spellings(name, beside):
            some = self._before(written)
            for key, before in some:
                moved = not self._roots or any(_moved(before, root) for root in self._roots)
                alone = len(some) == len(self._whole[key]) == 1
                yield self._whole[key][0], before or "/", moved and alone
            if some:
                return

    def _near(self, written: str) -> Sequence[str]:
        return self._ends.get(written.rpartition("/")[2], ())

    def _before(self, written: str) -> list[tuple[str, str]]:
        """Ids that it ends in, with what stands before them."""
        some = [key for key in self._near(written) if written.endswith(f"/{key}")]
        return [(key, written.removesuffix(f"/{key}")) for key in some]


def _starts(path: str, ids: Sequence[str]) -> Iterator[list[str]]:
    """Folders that ids start from, by what is learned from: of an archive also as it is called
    unpacked; of a file that ids begin with, the folder it is in."""
    parts = _folders(spelled(path))
    if not parts:
        return
    first = ids[0] if ids else ""
    if first == parts[-1] or ("#" in first and re.split("[/#]", first)[0] == parts[-1]):
        yield parts[:-1]
        return
    yield parts
    unpacked = _PACKED.sub("", parts[-1])
    if unpacked and unpacked != parts[-1]:
        yield [*parts[:-1], unpacked]


def _folders(path: str) -> list[str]:
    """Of a path; of drives in small letters, where capitals mean nothing."""
    parts = [part for part in path.split("/") if part]
    return [part.lower() for part in parts] if parts and _DRIVE.fullmatch(parts[0]) else parts


def _same(before: str, root: Sequence[str]) -> bool:
    """Whether folders are those that ids start from, or the last of them."""
    parts = _folders(before)
    while parts and parts[0] == "..":
        parts = parts[1:]
    absolute = before.startswith("/") and len(parts) > 1  # "/train/1.png" starts from a data set
    if absolute and parts != list(root):
        return False
    return bool(parts) and parts == list(root[-len(parts) :])


def _moved(before: str, root: Sequence[str]) -> bool:
    """Whether a folder of another machine may be what ids start from: of the same name, neither
    beside it nor another part of a data set."""
    parts, own = _folders(before), list(root)
    absolute = before.startswith("/") or (parts and _DRIVE.fullmatch(parts[0]))
    if not absolute or not parts or not own or parts[-1].lower() != own[-1].lower():
        return False
    if any(_apart(a, b) for a, b in zip(reversed(parts), reversed(own), strict=False)):
        return False
    if _DRIVE.fullmatch(parts[0]) and parts[0] == own[0]:
        parts, own = parts[1:], own[1:]
    if parts[0].lower() in _HOMES and parts[0] == own[0]:
        parts, own = parts[1:], own[1:]
    return parts[0] != own[0] or parts == own


def _apart(one: str, other: str) -> bool:
    """Whether two names are of folders beside each other: ``fold1`` and ``fold2``, train and
    test."""
    if one == other:
        return False
    numbered = re.sub(r"\d+", "0", one) == re.sub(r"\d+", "0", other)
    return numbered or {one.lower(), other.lower()} <= _PARTS
