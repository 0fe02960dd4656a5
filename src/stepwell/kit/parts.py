"""Parts on disk: plain settings in TOML, arrays in safetensors. Nothing is ever unpickled."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.interfaces import Part, StepwellError
from stepwell.kit.packed import packed_of, unpacked
from stepwell.kit.plugins import trusted
from stepwell.kit.schema import check_part, entries, word
from stepwell.kit.trust import TRUST

_LONGEST = 2**26
"""Bytes of settings, at most: what is large is in arrays."""


def save_part(folder: Path, part: Part, kind: str) -> None:
    """Write ``part`` into ``folder``; ``kind`` names the class to bring it back."""
    import tomli_w
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    settings, arrays = part.state()
    plain = {name: np.ascontiguousarray(np.asarray(array)) for name, array in arrays.items()}
    found = packed_of(plain)
    packed = {name: list(plain[name].shape) for name in found}
    plain |= found
    try:
        save_file(plain, folder / "arrays.safetensors")
    except SafetensorError as error:  # its own type even where the disk is full
        raise StepwellError(
            f"Expected to write the arrays of {kind!r} to {folder}, found {error}. Free some "
            f"room on the disk, or write somewhere else."
        ) from error
    told = {"kind": kind, "settings": settings} | ({"packed": packed} if packed else {})
    text = tomli_w.dumps(told)
    (folder / "part.toml").write_text(text, encoding="utf-8")


def load_part(folder: Path, kinds: Mapping[str, type[Part]]) -> Part:
    """The part written in ``folder``, with a class out of ``kinds``; all of it is checked first.

    Raises
    ------
    StepwellError
        If it is damaged, or holds what its class could not have written.
    """
    from safetensors.numpy import load_file

    with _whole(folder):
        text = tomllib.loads(_settings_in(folder))
        shapes = {"packed": entries({})}
        entries({"kind": word(), "settings": entries({})}, shapes)(text)
        kind, settings = text["kind"], text["settings"]
        arrays = load_file(folder / "arrays.safetensors")
        arrays |= unpacked(arrays, text.get("packed", {}))
    made = kinds.get(kind) or trusted("encoders", kind)
    if made is None:
        raise StepwellError(
            f"Expected one of {', '.join(sorted(kinds))}, found {kind[:80]!r} in {folder}: "
            f"install the plug-in that wrote it, or name its class: {TRUST}=module:Class stepwell …"
        )
    with _whole(folder):
        check_part(made, settings, arrays)
        part: Part = made.from_state(settings, arrays)
        return part
    raise AssertionError("never reached")


def _settings_in(folder: Path) -> str:
    path = folder / "part.toml"
    if path.stat().st_size > _LONGEST:
        raise ValueError(f"{path.name} of {path.stat().st_size:,} bytes")
    return path.read_text(encoding="utf-8")


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Whatever is wrong with a part, as one of our errors: what no schema tells too."""
    try:
        yield
    except StepwellError:
        raise
    except BaseException as error:
        # A panic of a library written in Rust is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: BaseException) -> StepwellError:
    what = " ".join(str(error).split())[:300]
    return StepwellError(
        f"Expected a whole part of a run in {folder}, found {type(error).__name__}: {what}. "
        f"The run is damaged, or was changed: learn again, or bring back a copy."
    )


def check_fit(folder: Path, part: Any, width: int) -> None:
    """Raise where a part reads another number of features (``takes``) than there are.

    Raises
    ------
    StepwellError
    """
    takes = getattr(part, "takes", width)
    if takes != width:
        raise StepwellError(
            f"Expected parts that fit each other, found {folder} made for {takes} features where "
            f"there are {width}: the run is damaged, or was changed; bring back a copy."
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
