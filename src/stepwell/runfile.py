"""The file that makes a directory a run: ``config.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest
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
    config = tomllib.loads(file.read_text(encoding="utf-8"))
    if config.get("format", 0) > FORMAT:
        raise StepwellError(
            f"Expected a run of format ≤ {FORMAT}, found format {config['format']} in {path}: "
            f"it was written by stepwell {config.get('versions', {}).get('stepwell', '?')}; "
            f"install that version or a newer one."
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
