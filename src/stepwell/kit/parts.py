"""Parts on disk: plain settings in TOML, arrays in safetensors. Nothing is ever unpickled."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.interfaces import Part, StepwellError
from stepwell.kit.schema import check_part


def save_part(folder: Path, part: Part, kind: str) -> None:
    """Write ``part`` into ``folder``; ``kind`` names the class to bring it back."""
    import tomli_w
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    settings, arrays = part.state()
    plain = {name: np.ascontiguousarray(np.asarray(array)) for name, array in arrays.items()}
    try:
        save_file(plain, folder / "arrays.safetensors")
    except SafetensorError as error:  # its own type even where the disk is full
        raise StepwellError(
            f"Expected to write the arrays of {kind!r} to {folder}, found {error}. Free some "
            f"room on the disk, or write somewhere else."
        ) from error
    text = tomli_w.dumps({"kind": kind, "settings": settings})
    (folder / "part.toml").write_text(text, encoding="utf-8")


def load_part(folder: Path, kinds: Mapping[str, type[Part]]) -> Part:
    """The part written in ``folder``, with a class out of ``kinds``; all of it is checked first.

    Raises
    ------
    StepwellError
        If it is damaged, or holds what its class could not have written.
    """
    from safetensors.numpy import load_file

    try:
        text = tomllib.loads((folder / "part.toml").read_text(encoding="utf-8"))
        kind, settings = text["kind"], text["settings"]
        arrays = load_file(folder / "arrays.safetensors")
    except Exception as error:
        raise _damaged(folder, error) from error
    if kind not in kinds:
        raise StepwellError(
            f"Expected one of {', '.join(sorted(kinds))}, found {kind!r} in {folder}: "
            f"install the plug-in that wrote it."
        )
    try:
        check_part(kinds[kind], settings, arrays)
        return kinds[kind].from_state(settings, arrays)
    except StepwellError:
        raise
    except Exception as error:  # whatever a class makes of what no schema can tell
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> StepwellError:
    what = " ".join(str(error).split())[:300]
    return StepwellError(
        f"Expected a whole part of a run in {folder}, found {type(error).__name__}: {what}. "
        f"The run is damaged, or was changed: learn again, or bring back a copy."
    )


def toml(content: Mapping[str, Any]) -> str:
    """TOML text of plain settings; None is left out."""
    import tomli_w

    return tomli_w.dumps(_without_none(content))


def _without_none(content: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            kept[name] = _without_none(value)
        elif value is not None:
            kept[name] = value
    return kept
