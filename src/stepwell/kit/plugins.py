"""Registries: what is built in, what installed plug-ins add by entry points, and code that the user
names as ``package.module:Class``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.trust import check_code, named_in_environment

OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""How code is named: a module, and what in it."""
_TELLS = {
    "encoders": ("embed", "from_state"),
    "pretexts": ("pairs", "target"),
    "views": ("apply", "slots"),
    "objectives": ("takes", "made"),
    "sources": ("accepts", "batches"),
}
"""What each room's classes have that no other's have."""
_ADDED: dict[str, dict[str, Any]] = {}


def plugins(room: str) -> dict[str, Any]:
    """What entry points of ``stepwell.<room>`` offer, by name; and what the user has named."""
    return _installed(room) | _ADDED.get(room, {})


@lru_cache(maxsize=8)
def _installed(room: str) -> dict[str, Any]:
    return {point.name: point.load() for point in entry_points(group=f"stepwell.{room}")}


def trusted(room: str, name: str) -> Any:
    """The class of that name among those that the environment names, or None: imported only once
    something asks for it by a name that nothing else has."""
    for code in filter(OWN.fullmatch, named_in_environment()):
        try:
            made = own_code(code)
        except StepwellError:  # what is named for something else may not be here
            continue
        if getattr(made, "name", None) == name and not _missing(room, made):
            return add(room, made)
    return None


def _missing(room: str, made: Any) -> list[str]:
    return [tell for tell in (*_TELLS.get(room, ()), "name") if not hasattr(made, tell)]


def add(room: str, made: Any, name: str | None = None) -> Any:
    """Let a class be found by its ``name``, as a plug-in is; as long as this process lasts."""
    _ADDED.setdefault(room, {})[made.name if name is None else name] = made
    return made


def own_code(name: str, what: str = "package.module:Class") -> Any:
    """What the user has named; looked for in the working folder too, after all that is installed.

    Raises
    ------
    UsageError
        If it can't be imported.
    StepwellError
        If the user has not named it.
    """
    check_code(name)
    place, _, made = name.partition(":")
    try:
        with _working_folder():
            return getattr(import_module(place), made)
    except Exception as error:  # whatever goes wrong in code of one's own
        why = f"{type(error).__name__}: {error}"
        raise UsageError(f"Expected {what} that can be imported, found {name!r}: {why}.") from error


@contextmanager
def _working_folder() -> Iterator[None]:
    """Modules there can be imported, but never stand in the way of those that are installed."""
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.reverse()  # the last one of that name
        sys.path.remove(folder)
        sys.path.reverse()


def fitting(room: str, name: str) -> Any:
    """Code that the user has named, for a room: found by its own name from here on.

    Raises
    ------
    UsageError
        If it is nothing that the room has use for.
    """
    made = own_code(name)
    missing = _missing(room, made)
    if missing:
        raise UsageError(
            f"Expected one of the {room} at {name}, found {made!r} without "
            f"{' and '.join(missing)}: see CONTRIBUTING.md for what it needs."
        )
    return add(room, made)


def registered(room: str, builtin: dict[str, Any]) -> dict[str, Any]:
    """Plug-ins first, then what is built in; a plug-in of the same name wins."""
    found = plugins(room)
    return found | {k: v for k, v in builtin.items() if k not in found}


def for_kind(room: str, builtin: dict[str, Any], kind: str) -> Any | None:
    """The first registered class that works on ``kind`` of data, or None.

    A plug-in for series may be called like what is built in for images: it hides that
    only where it works itself. What the user has named is for where it is named.
    """
    for found in [*_installed(room).values(), *builtin.values()]:
        if not found.kinds or kind in found.kinds:
            return found
    return None
