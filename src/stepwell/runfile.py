"""The file that makes a directory a run: ``config.toml``."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepwell.adapt import Head, LabelSums, Terms, Witnesses
from stepwell.encoders import ENCODERS
from stepwell.engines import MOMENTS, PairCounts, SpectralMap
from stepwell.evaluate.strangeness import Usual
from stepwell.interfaces import Part, StepwellError, UsageError
from stepwell.kit.folders import recover
from stepwell.kit.names import nearest
from stepwell.kit.plugins import registered
from stepwell.kit.schema import Rule, number, several, whole, word
from stepwell.resuming import going_on, unfinished

FORMAT = 2
"""Version of the directory's layout; a newer one is refused with a clear error."""


def read_config(path: Path) -> dict[str, Any]:
    """What a run is.

    Raises
    ------
    UsageError
        If there is no run at ``path``.
    StepwellError
        If its training was stopped, or a newer stepwell wrote it.
    """
    file = path / "config.toml"
    recover(path.absolute())
    if not file.is_file() and unfinished(path):
        raise StepwellError(
            f"Expected a finished run, found a training that was stopped at {path}: "
            f"`{going_on(path)}` goes on with it."
        )
    if not file.is_file():
        near = (
            [p.name for p in path.parent.iterdir() if (p / "config.toml").is_file()]
            if (path.parent.is_dir())
            else []
        )
        raise UsageError(
            f"Expected the directory of a run, found "
            f"{'nothing' if not path.exists() else 'something else'} at {path}."
            f"{nearest(path.name, near)} `stepwell learn SRC --out RUN` makes one; `stepwell "
            f"status` lists those in runs/."
        )
    try:
        config = tomllib.loads(file.read_text(encoding="utf-8"))
        form = config.get("format", 0)
        whole(0, 10**6)(form)
        if form <= FORMAT:
            _check(config)
    except (ValueError, OSError, RecursionError) as error:
        raise StepwellError(
            f"Expected a whole run at {path}, found its config.toml damaged ("
            f"{' '.join(str(error).split())[:200]}): learn again, or bring back a copy."
        ) from None
    if form > FORMAT:
        raise StepwellError(
            f"Expected a run of format ≤ {FORMAT}, found format {form} in {path}: it was written "
            f"by stepwell {dict(config.get('versions') or {}).get('stepwell', '?')}; install that "
            f"version or a newer one."
        )
    return config


def trained_on(config: dict) -> str:
    """How a network was trained, in words; empty where none was."""
    train = config.get("train")
    if not train:
        return ""
    return (
        f"{train.get('backbone', 'trained')} on {train.get('pretext', 'two_views')} by "
        f"{train['objective']}, {train['samples']:,} samples in {train['steps']:,} steps"
    )


_SECTIONS: dict[str, dict[str, Rule]] = {
    "source": {"kind": word(), "name": word()},
    "learn": {"seed": whole(-(2**63), 2**63), "encoder": word(), "pretext": word()},
    "choice": {"k": whole(1)},
    "data": {name: whole(0, 2**60) for name in ("examples", "founders", "distinct", "skipped")},
    "cost": {"seconds": number(0), "cpu_seconds": number(0), "peak_mb": number(0)},
}
"""What every run tells of itself; all else may be missing in older ones."""


def _check(config: Mapping[str, Any]) -> None:
    """Raise ValueError for what no run of ours has."""
    word()(config.get("created", ""))
    for section, rules in _SECTIONS.items():
        found = config.get(section)
        if not isinstance(found, dict):
            raise ValueError(f"no section {section}")
        for name, rule in rules.items():
            try:
                rule(found.get(name))
            except ValueError as error:
                raise ValueError(f"{section}.{name} = {error}") from None
    for name, kind in (("options", dict), ("read", dict), ("path", str)):
        if not isinstance(config["source"].get(name, kind()), kind):
            raise ValueError(f"source.{name} is no {kind.__name__}")
    whole(1, 10**6)(config["learn"].get("chunk", 256))
    for name in ("views", "skipped"):
        several(_row, 10**6)(config.get(name, []))


def _row(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r}")


Identity = tuple[int, int, int]


def identity(path: Path) -> Identity:
    """Which generation of a run is at a path: another one is another folder, with another
    ``config.toml``.

    Raises
    ------
    StepwellError
        If there is none.
    """
    try:
        folder, file = os.stat(path), os.stat(path / "config.toml")
    except OSError:
        raise StepwellError(
            f"Expected the run at {path}, found it gone since it was opened: load it again."
        ) from None
    return folder.st_ino, file.st_ino, file.st_mtime_ns


@contextmanager
def whole_file(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file of a run, as one of our errors."""
    try:
        yield
    except StepwellError:
        raise
    except FileNotFoundError:
        raise StepwellError(
            f"Expected a whole run at {path.parent}, found it without {path.name}: learn again, or "
            f"bring back a copy."
        ) from None
    except Exception as error:  # of Arrow, JSON, numpy …
        raise StepwellError(
            f"Expected a whole run at {path.parent}, found {path.name} damaged "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}): learn again, or "
            f"bring back a copy."
        ) from None


_PIXELS = ("canvas", "channels", "scale", "group_by")
"""Settings of a source that carry over to new data: they decide what a pixel means."""


def batch_size(batch_bytes: int) -> int:
    """Examples a chunk, so that a chunk of float32 views stays near 64 MB."""
    return max(16, min(512, 2**23 // max(batch_bytes, 1)))


def read_like(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a source that another has to follow, so that pixels mean the same."""
    names = (*_PIXELS, "unit", "column") if "unit" in options else _PIXELS  # of texts
    return {name: value for name, value in options.items() if name in names}


def same_path(one: Any, other: Any) -> bool:
    """Whether two things are one path."""
    if not (isinstance(one, (str, Path)) and isinstance(other, (str, Path))):
        return False
    return Path(one).absolute() == Path(other).absolute()


def replaced(path: Path) -> StepwellError:
    """Of a run in whose place another one is."""
    return StepwellError(
        f"Expected the run that was opened at {path}, found that another has taken its place: load "
        f"it again."
    )


def not_ours(where: str) -> StepwellError:
    """Of a run that somebody else learned, and what it names."""
    return StepwellError(
        f"Expected a run that was learned by you on this machine, found one that names {where}: "
        f"its files are only read where you say so. Give the data: --source PATH (in Python "
        f"stepwell.load(run, source=PATH))."
    )


def misfit(path: Path, width: int, found: Any) -> StepwellError:
    """Of parts that do not fit each other."""
    return StepwellError(
        f"Expected parts that fit each other in {path}, found an encoder with {width} features and "
        f"a map of {len(found.mu)} to {found.width}: the run is damaged, or was changed; bring "
        f"back a copy."
    )


def part_kinds() -> dict[str, type[Part]]:
    """Classes of parts by the names that they are written down with."""
    own: dict[str, Any] = {"spectral": SpectralMap, **MOMENTS}
    own |= {kind.name: kind for kind in (PairCounts, Head, Terms, LabelSums, Usual, Witnesses)}
    return own | registered("encoders", ENCODERS)


def read_json(path: Path, kind: type) -> Any:
    """What a JSON file of a run holds, a list or an object; an empty one where there is no file.

    Raises
    ------
    StepwellError
        If it is damaged.
    """
    if not path.is_file():
        return kind()
    with whole_file(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, kind):
            raise ValueError(f"no {kind.__name__}")
    return found
