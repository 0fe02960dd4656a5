"""Where examples come from: one file a kind, and one door to all of them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.interfaces import Source, UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import registered
from stepwell.sources.archive import ArchiveSource
from stepwell.sources.arrays import ArraySource
from stepwell.sources.base import ImageSource
from stepwell.sources.folder import FolderSource
from stepwell.sources.idx import IdxSource
from stepwell.sources.parallel import ParallelSource
from stepwell.sources.tables import TableSource
from stepwell.sources.textfiles import TABLES, format_of, why_no_text
from stepwell.sources.texts import HeldTexts, TextSource
from stepwell.sources.texttables import TextTableSource
from stepwell.sources.walk import why_not_regular

SOURCES: dict[str, type] = {
    "idx": IdxSource,
    "array": ArraySource,
    "archive": ArchiveSource,
    "texttable": TextTableSource,
    "table": TableSource,
    "text": TextSource,
    "folder": FolderSource,
}
"""Sources by name, in the order they are asked; installed plug-ins (entry points of group
``stepwell.sources``) are asked before them."""


def open_source(
    where: Any,
    *,
    strict: bool = False,
    workers: int | None = None,
    like: Mapping[str, Any] | None = None,
    **options: Any,
) -> Source:
    """Open a source of examples.

    Parameters
    ----------
    where : path, array or Source
        A folder or file; images (n, h, w) or (n, h, w, c), or texts, in memory; or a source,
        which is returned as it is.
    strict : bool
        Raise at the first example that can't be read, instead of setting it aside.
    workers : int, optional
        Threads that decode; default: all cores.
    like : mapping, optional
        Settings of another source to follow where this kind knows them too.
    **options
        Settings of the kind of source: ``canvas``, ``group_by``, ``array``, ``split`` …;
        ``target``, a file with the translation of each line.
        A source's own ``options`` open it again the same way.

    Returns
    -------
    Source

    Raises
    ------
    UsageError
        If there is nothing there that can be read, or an option is unknown.
    """
    if hasattr(where, "batches") and hasattr(where, "entries"):
        source: Source = where
        return source
    options = {**options, "strict": strict, "workers": workers}
    if isinstance(where, (str, os.PathLike)):
        path = _existing(where)
        if (path / "config.toml").is_file() and (path / "parts").is_dir():
            raise UsageError(f"Expected data, found the run {path}: give what it was made of.")
        if "target" in options:
            options["target"] = _existing(options["target"])
            return _made(ParallelSource, path, options, like or {})
        for kind in registered("sources", SOURCES).values():
            if kind.accepts(path):
                return _made(kind, path, options, like or {})
        if "column" in options and path.is_file() and format_of(path.name) in TABLES:
            return _made(TextSource, path, options, like or {})  # which says what is wrong with it
        why = why_not_regular(path) or why_no_text(path) or "a file of another kind"
        raise UsageError(f"Expected {_readable_kinds()}; found {path}, {why}: give one of these.")
    if where is None:
        raise UsageError("Expected data, found none: its path was not kept; give it again.")
    if _texts(where):
        return _made(HeldTexts, where, options, like or {})
    if hasattr(where, "__array__") or isinstance(where, list):
        return _made(ArraySource, np.asarray(where), options, like or {})
    raise UsageError(
        f"Expected a path, an array or a source, found {type(where).__name__}: "
        f"give the folder or file with your data."
    )


def _texts(where: Any) -> bool:
    """Whether the first of several things in memory is a text."""
    several = isinstance(where, (list, tuple, np.ndarray)) and np.ndim(where[:1]) == 1
    return several and len(where) > 0 and isinstance(where[0], str)


def _existing(where: str | os.PathLike[str]) -> Path:
    """The path, if there is something."""
    text = os.fspath(where)
    if "://" in text:
        raise UsageError(f"Expected a folder or file, found the address {text}: download it first.")
    if not text:
        raise UsageError("Expected a folder or file, found an empty path: give its name.")
    path = Path(text).expanduser()
    if os.path.lexists(path):
        return path
    there = path.parent
    while not there.is_dir():
        there = there.parent
    beside = (there / name for name in os.listdir(there)) if there == path.parent else ()
    hint = _suggestion(path, beside)
    raise UsageError(
        f"Expected a folder or file, found nothing at {path}.{hint} Check the path"
        f"{'' if there == path.parent else f': {there} is the last folder of it that exists'}."
    )


def _suggestion(path: Path, beside: Iterable[Path]) -> str:
    names = {other.name: other for other in beside if not other.name.startswith(".")}
    return nearest(path.name, names)


def _made(kind: type, where: Any, options: dict[str, Any], like: Mapping[str, Any]) -> Source:
    """An instance; options it does not know are refused by name, those of ``like`` dropped."""
    known = inspect.signature(kind).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for name in options:
        if name not in known and not takes_all and name not in ("strict", "workers"):
            usual = [p for p in list(known)[1:] if p not in ("strict", "workers")]
            raise UsageError(
                f"Expected an option of {getattr(kind, 'reads', kind.__name__)}, found {name!r}."
                f"{nearest(name, usual)} Options: {', '.join(usual)}."
            )
    given = {k: v for k, v in {**like, **options}.items() if takes_all or k in known}
    source: Source = kind(where, **given)
    return source


def _readable_kinds() -> str:
    kinds = registered("sources", SOURCES).values()
    return " · ".join(reversed([kind.reads for kind in kinds if hasattr(kind, "reads")]))


__all__ = [
    "SOURCES",
    "ArchiveSource",
    "ArraySource",
    "FolderSource",
    "HeldTexts",
    "IdxSource",
    "ImageSource",
    "ParallelSource",
    "TableSource",
    "TextSource",
    "TextTableSource",
    "open_source",
]
