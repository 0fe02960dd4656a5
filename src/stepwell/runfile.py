"""The file that makes a directory a run: ``config.toml``."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.folders import recover
from stepwell.kit.names import nearest
from stepwell.kit.schema import Rule, whole
from stepwell.resuming import going_on, unfinished
from stepwell.runrules import CONFIG, SCORES

FORMAT = 2
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
