"""Registries: what is built in, and what installed plug-ins add by entry points."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any


@lru_cache(maxsize=8)
def plugins(room: str) -> dict[str, Any]:
    """What entry points of group ``stepwell.<room>`` offer, by name."""
    return {point.name: point.load() for point in entry_points(group=f"stepwell.{room}")}


def registered(room: str, builtin: dict[str, Any]) -> dict[str, Any]:
    """Plug-ins first, then what is built in; a plug-in of the same name wins."""
    return plugins(room) | {k: v for k, v in builtin.items() if k not in plugins(room)}


def for_kind(room: str, builtin: dict[str, Any], kind: str) -> Any | None:
    """The first registered class that works on ``kind`` of data, or None.

    A plug-in for series may be called like what is built in for images: it hides that
    only where it works itself.
    """
    for found in [*plugins(room).values(), *builtin.values()]:
        if not found.kinds or kind in found.kinds:
            return found
    return None
