"""A training that was stopped: what it left beside its run, and how it goes on.

Until a run NAME is whole, ``.NAME.training`` holds ``resume.json`` (what it was told), the
last ``checkpoint.safetensors``, and ``steps.jsonl`` up to then. A run that is there already
stays untouched.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stepwell.interfaces import Observer, Source, StepwellError, UsageError
from stepwell.kit.files import write_atomic, write_json
from stepwell.kit.ranks import ranks, ranks_here

TOLD, STATE, LOG = "resume.json", "checkpoint.safetensors", "steps.jsonl"
EVERY_S = 60.0
"""Between two checkpoints."""


def beside(path: Path) -> Path:
    """Where the training of a run keeps its checkpoints."""
    path = path.absolute()
    return path.with_name(f".{path.name}.training")


def unfinished(path: Path) -> bool:
    """Whether the training of a run was stopped before the run was whole."""
    return all((beside(path) / name).is_file() for name in (TOLD, STATE))


def going_on(path: Path) -> str:
    """The command that goes on with a stopped training, by as many processes as began it."""
    words = f"stepwell learn --resume {path}"
    try:
        asked = json.loads((beside(path) / TOLD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return words
    count, each = asked.get("ranks", 1), asked.get("ranks_here", 1)
    if count == 1:
        return words
    nodes = "--standalone" if count == each else f"--nnodes {count // each} …"
    return f"torchrun {nodes} --nproc-per-node {each} -m {words}"


def asking(source: Source, settings: Any, after: Any) -> dict[str, Any]:
    """All that a training is told, as JSON types; None for what no file can name."""
    path, plain = getattr(source, "path", None), vars(settings)
    return {
        "source": {
            "path": str(Path(path).absolute()) if path else None,
            "options": dict(source.options),
        },
        "settings": plain if _names(plain.values()) else None,
        "after": {name: _absolute(value) for name, value in vars(after).items()},
        "ranks": ranks(),
        "ranks_here": ranks_here(),
    }


def _absolute(value: Any) -> Any:
    """What a file can hold: paths in full, yes or no; None for arrays and objects."""
    if isinstance(value, (str, Path)):
        return str(Path(value).absolute())
    return value if isinstance(value, bool) else None


def _names(values: Iterable[Any]) -> bool:
    """Whether all of these are what a file can hold."""
    return all(
        value is None or isinstance(value, (str, int, float, bool, dict, list)) for value in values
    )


def told(path: Path) -> dict[str, Any]:
    """What a stopped training was told.

    Raises
    ------
    UsageError
        If there is none, or other processes began it.
    """
    if not unfinished(path):
        whole = (path / "config.toml").is_file()
        raise UsageError(
            f"Expected a training that was stopped, found "
            f"{'a finished run' if whole else 'none'} at {path}: leave --resume out to begin one."
        )
    found: dict[str, Any] = json.loads((beside(path) / TOLD).read_text(encoding="utf-8"))
    if found.get("ranks", 1) != ranks():
        raise UsageError(
            f"Expected {found.get('ranks', 1)} processes, as many as began the training, found "
            f"{ranks()}: {going_on(path)}"
        )
    return found


class Keeper:
    """Writes down, now and then, all that a training needs to go on.

    Parameters
    ----------
    target : path
        Where the run will be.
    told : mapping
        What was asked for, as JSON types.
    folder : path
        Where the run is being written, with its log.
    resume : bool
        Go on from what is there.
    tell : callable
        Told ``("kept", {"path"})`` after each checkpoint.
    """

    def __init__(
        self, target: Path, told: Mapping[str, Any], folder: Path, resume: bool, tell: Observer
    ) -> None:
        self._target, self._told, self._log, self._tell = target, told, folder / LOG, tell
        self._place, self._begun = beside(target), resume
        self._last = time.perf_counter()
        self.state: dict[str, Any] | None = None
        if resume:
            from stepwell.engines.gradient.checkpoint import load

            self.state = load(self._place / STATE)

    def due(self) -> bool:
        """Whether it is time for another checkpoint."""
        return time.perf_counter() - self._last > EVERY_S

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; the one before stays until this one is whole."""
        from stepwell.engines.gradient.checkpoint import save

        if not self._begun:  # of an earlier training, which this one takes the place of
            clear(self._target)
        self._place.mkdir(parents=True, exist_ok=True)
        write_json(self._place / TOLD, self._told)
        save(self._place / STATE, state)
        if self._log.is_file():
            write_atomic(self._place / LOG, self._log.read_bytes())
        self._begun, self._last = True, time.perf_counter()
        self._tell("kept", {"path": str(self._target)})

    def check(self, what: str, expected: Any) -> None:
        """Raise if something of the stopped training is not what it is now."""
        if self.state is not None and self.state[what] != expected:
            raise StepwellError(
                f"Expected the {what} of the training that was stopped, found other: bring it "
                f"back, or learn anew with --overwrite."
            )


def clear(target: Path) -> None:
    """Remove what a training has kept: its run is whole, or another takes its place."""
    shutil.rmtree(beside(target), ignore_errors=True)


class NotKept:
    """Of a training that nobody goes on with: nothing is written down."""

    state: dict[str, Any] | None = None

    def due(self) -> bool:
        """Never."""
        return False

    def save(self, state: Mapping[str, Any]) -> None:
        """Nothing."""


NOT_KEPT: Any = NotKept()
