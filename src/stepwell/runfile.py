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
from stepwell.kit.schema import Rule, whole
from stepwell.kit.trust import sealed, without_paths
from stepwell.resuming import going_on, unfinished
from stepwell.runrules import CONFIG, SCORES

FORMAT = 3
"""Version of the directory's layout; a newer one is refused with a clear error."""
_LONGEST = 2**28
"""Bytes of a JSON file, at most."""


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
            CONFIG(config)
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


def own(source: Mapping[str, Any]) -> bool:
    """Whether this user learned from a source on this machine, so that paths are the user's."""
    content = {"path": source.get("path"), "options": source.get("options", {})}
    return sealed(content, source.get("seal", ""))


def followed(source: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a source; paths among them only where they may be followed."""
    told = dict(source.get("options", {}))
    return told if own(source) else without_paths(told)


def source_told(source: Mapping[str, Any]) -> dict[str, Any]:
    """What a page tells of a source: paths only where they may be followed."""
    left = ("seal",) if own(source) else ("seal", "path")
    told = {name: value for name, value in source.items() if name not in left}
    return told | {"options": followed(source)}


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


def untrained(config: Mapping[str, Any]) -> str:
    """What has to be said first of a run whose network nobody has trained; else nothing."""
    learned = config["learn"]
    name = learned.get("backbone")
    own_code = ":" in (name or ":")  # it may have weights of its own
    if own_code or learned["encoder"] != "network" or config.get("train"):
        return ""
    if learned.get("weights"):
        return ""
    return (
        f"The network {name} is untrained, its features are random: give --weights, or train it "
        f"with --engine gradient. "
    )


def misfit(path: Path, width: int, found: SpectralMap) -> StepwellError:
    """Of parts that do not fit each other."""
    return StepwellError(
        f"Expected parts that fit each other in {path}, found a map to {found.width} dimensions, "
        f"and {width} in config.toml: the run is damaged, or was changed; bring back a copy."
    )


def part_kinds() -> dict[str, type[Part]]:
    """Classes of parts by the names that they are written down with."""
    own: dict[str, Any] = {"spectral": SpectralMap, **MOMENTS}
    own |= {kind.name: kind for kind in (PairCounts, Head, Terms, LabelSums, Usual, Witnesses)}
    return own | registered("encoders", ENCODERS)


@contextmanager
def computed(path: Path) -> Iterator[None]:
    """Whatever goes wrong while parts of a run compute, as one of our errors: that they are what
    they were, no rule can tell."""
    try:
        yield
    except StepwellError:
        raise
    except Exception as error:
        raise StepwellError(
            f"Expected features of examples from the encoder of {path}, found "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}. If it worked before, "
            f"the run is damaged, or was changed: learn again, or bring back a copy."
        ) from error


def read_json(path: Path, missing: Any, rule: Rule) -> Any:
    """What a JSON file of a run holds; ``missing`` where there is none.

    Raises
    ------
    StepwellError
        If it is damaged, or holds what no run of ours has.
    """
    if not os.path.lexists(path):
        return missing
    with whole_file(path):
        if path.stat().st_size > _LONGEST:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        found = json.loads(path.read_text("utf-8"))
        rule(found)
        return found
    raise AssertionError("never reached")


def scores_of(path: Path) -> dict[str, Any]:
    """``scores.json`` of the run at a path, or an empty dict."""
    found: dict[str, Any] = read_json(path / "scores.json", {}, SCORES)
    return found
