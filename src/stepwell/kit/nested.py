"""Values within values, as JSON and Arrow have them: named by a path, and put into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEPTH = 6
"""Objects within objects that are looked into."""


def flat(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Cells by path: ``{"data": {"text": "x"}}`` → ``{"data.text": "x"}``.

    A list of objects is taken by their names (``messages.content``), each as a list.
    """
    found: dict[str, Any] = {}
    _add(found, "", row, 0)
    return found


def _add(found: dict[str, Any], path: str, value: Any, depth: int) -> None:
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, Mapping) for v in value):
        for each in value[:100]:
            for name, item in flat(each).items() if depth < _DEPTH else ():
                found.setdefault(f"{path}.{name}", []).append(item)
    elif isinstance(value, Mapping) and depth < _DEPTH:
        for name, item in value.items():
            _add(found, f"{path}.{name}" if path else str(name), item, depth + 1)
    elif path:
        found[path] = value


def dug(value: Any, path: str) -> Any:
    """What stands at a path; None where nothing does."""
    if not path:
        return value
    if isinstance(value, Mapping):
        if path in value:  # a name may have a point in it
            return value[path]
        parts = path.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            if (name := ".".join(parts[:cut])) in value:
                return dug(value[name], ".".join(parts[cut:]))
        return None
    if isinstance(value, (list, tuple)):
        return [item for each in value if (item := dug(each, path)) is not None]
    return None


def in_words(value: Any) -> str | None:
    """A cell as a text: of a list its texts one after the other; None for what is no text."""
    if isinstance(value, str):
        return value
    if value is None or value != value:  # a number that is none
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, (list, tuple)):
        parts = [in_words(each) for each in value]
        if any(part is None for part in parts):
            return None
        plain = [str(part) for part in parts]
        tokens = all(not any(map(str.isspace, part)) for part in plain)
        return (" " if tokens else "\n").join(plain)
    return None if isinstance(value, Mapping) else str(value)


def as_label(value: Any) -> str:
    """A cell as a class; empty for none: null, a number that is none, an object, several."""
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, (list, tuple, Mapping)) or value != value:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
