"""Where examples come from: one file a kind, and one door to all of them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stepwell.interfaces import Source, UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import registered
from stepwell.sources.archive import ArchiveSource
from stepwell.sources.arrays import ArraySource
from stepwell.sources.base import ImageSource
from stepwell.sources.folder import FolderSource
from stepwell.sources.idx import IdxSource
from stepwell.sources.kinds import kind_of
from stepwell.sources.memory import in_memory
from stepwell.sources.parallel import ParallelSource
from stepwell.sources.tables import TableSource
from stepwell.sources.textfiles import why_no_text
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
        A folder or file; images (n, h, w) or (n, h, w, c), or a list of images of any size, or
        texts, in memory; or a source, which is returned as it is.
    strict : bool
        Raise at the first example that can't be read, instead of setting it aside.
    workers : int, optional
        Threads that decode; default: all cores.
    like : mapping, optional
        Settings of another source to follow where this kind knows them too.
    **options
        ``kind`` ("image" or "text"), where a folder holds both; and settings of the kind of
        source: ``canvas``, ``group_by``, ``array``, ``split``, ``column``, ``encoding`` …;
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
        return _of_path(path, options, like or {})
    if where is None:
        raise UsageError("Expected data, found none: its path was not kept; give it again.")
    asked = options.pop("kind", None)
    kind, held = in_memory(where, asked)
    return _made({"text": HeldTexts, "image": ArraySource}[kind], held, options, like or {})


def _of_path(path: Path, options: dict[str, Any], like: Mapping[str, Any]) -> Source:
    """What reads a file or folder: a plug-in, or the kind of ours that its content and the options
    tell."""
    asked = options.pop("kind", None)
    builtin = set(SOURCES.values())
    for kind in registered("sources", SOURCES).values():
        plugged = kind not in builtin and asked in (None, getattr(kind, "kind", None))
        if plugged and kind.accepts(path):
            return _made(kind, path, options, like)
    found = kind_of(path, options, asked)
    if found is None:
        encoding = options.get("encoding")
        why = why_not_regular(path) or why_no_text(path, encoding) or "a file of another kind"
        raise UsageError(f"Expected {_readable_kinds()}; found {path}, {why}: give one of these.")
    source = _made(SOURCES[found.name], path, options, like)
    decisions = getattr(source, "decisions", None)
    if decisions is not None:
        why = found.why or "it holds nothing else"
        decisions.insert(0, {"what": "kind", "value": source.kind, "why": why})
    if asked is not None and path.is_dir():
        source.options = {**source.options, "kind": source.kind}
    return source


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
