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
from stepwell.kit.trust import TRUST, seal, sealed, trust, trusted

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
    name = (asked.get("settings") or {}).get("backbone")
    words += f" --backbone {name}" if name and ":" in name else ""  # code is named each time
    count, each = asked.get("ranks", 1), asked.get("ranks_here", 1)
    if count == 1:
        return words
    nodes = "--standalone" if count == each else f"--nnodes {count // each} …"
    return f"torchrun {nodes} --nproc-per-node {each} -m {words}"


def asking(source: Source, settings: Any, after: Any) -> dict[str, Any]:
    """All that a training is told, as JSON types; None for what no file can name."""
    plain = vars(settings)
    found = {
        "source": named(source),
        "settings": plain if _names(plain.values()) else None,
        "after": {name: _absolute(value) for name, value in vars(after).items()},
    }
    return found | {"seal": seal(found), "ranks": ranks(), "ranks_here": ranks_here()}


def ours(told: Mapping[str, Any]) -> bool:
    """Whether this user's stepwell wrote what a training was told, and nobody has changed it."""
    return sealed({n: told[n] for n in ("source", "settings", "after")}, told["seal"])


def named(source: Source) -> dict[str, Any]:
    """What opens a source again."""
    path = getattr(source, "path", None)
    where = str(Path(path).absolute()) if path else None
    options = dict(source.options)
    return {"path": where, "options": options}


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
    found = _checked(beside(path) / TOLD)
    if found["ranks"] != ranks():
        raise UsageError(
            f"Expected {found['ranks']} processes, as many as began the training, found "
            f"{ranks()}: {going_on(path)}"
        )
    return found


def asked_again(target: Path, src: Any, backbone: str | None) -> dict[str, Any]:
    """What a stopped training was told, as far as whoever goes on with it may follow that.

    Parameters
    ----------
    src : optional
        The data, where the user gives it again.
    backbone : str, optional
        Code of one's own that the user names again.

    Raises
    ------
    UsageError
        If no training was stopped there, or it needs what no file can name.
    StepwellError
        For code that the user does not name, and for files that somebody else's training names.
    """
    asked = told(target)
    settings, where = asked["settings"], asked["source"]["path"]
    if settings is None:
        raise UsageError(
            "Expected settings that a file can name, found a training with objects (a pretext, an "
            "encoder or a run of one's own): learn anew."
        )
    if where is None and src is None:
        raise UsageError(
            "Expected data that a file can name, found a training of arrays: pass "
            "resume(path, data)."
        )
    _check_named(settings.get("backbone"), backbone, target)
    if not ours(asked):
        reads = [name for name in ("weights", "founders_from") if settings.get(name) is not None]
        if src is None or reads:
            rest = f" and {', '.join(reads)}: learn anew" if reads else ""
            raise StepwellError(
                f"Expected a training that was begun by you on this machine, found one that names "
                f"the data {where}{rest}. If that is what you want read, give it: stepwell learn "
                f"DATA --resume {target}"
            )
        asked["after"] = {"report": asked["after"].get("report") is True}
    return asked


def _check_named(found: str | None, named: str | None, target: Path) -> None:
    """Raise for code of one's own that the file names and the user does not."""
    if named is not None and named != found:
        raise UsageError(
            f"Expected the backbone that the training was begun with, {found!r}, found {named!r}: "
            f"leave --backbone out, or learn anew."
        )
    if named is not None:
        trust(named)
    if found is not None and ":" in found and not trusted(found):
        raise StepwellError(
            f"Expected a backbone that timm makes, found the code {found!r} named by the training "
            f"at {target}: going on would run it. If you trust it, name it too: add --backbone "
            f"{found}, or set {TRUST}={found}."
        )


_KINDS: dict[str, tuple[type, ...]] = {
    "source": (dict,),
    "settings": (dict, type(None)),
    "after": (dict,),
    "overwrite": (bool,),
    "seal": (str,),
    "ranks": (int,),
    "ranks_here": (int,),
}
"""What a training is told, as JSON has it."""
_SETTINGS: dict[str, tuple[type, ...]] = {
    "preset": (str,),
    "pretext": (str, type(None)),
    "encoder": (str, type(None)),
    "views": (str, type(None)),
    "seed": (int,),
    "founders_from": (str, type(None)),
    "recalibrate": (bool,),
    "budget": (int, float, type(None)),
    "engine": (str, type(None)),
    "backbone": (str, type(None)),
    "weights": (str, type(None)),
    "training": (dict,),
    "share": (int, float),
}
_AFTER: dict[str, tuple[type, ...]] = {
    name: (str, bool, type(None)) for name in ("evaluate_with", "test", "report")
}
_SOURCE: dict[str, tuple[type, ...]] = {"path": (str, type(None)), "options": (dict,)}


def _checked(path: Path) -> dict[str, Any]:
    """What a file tells of a training: nothing that ours does not write.

    Raises
    ------
    StepwellError
    """
    try:
        found: dict[str, Any] = {"ranks": 1, "ranks_here": 1, "seal": ""}
        found |= json.loads(path.read_text(encoding="utf-8"))
        parts: list[tuple[dict[str, Any], Mapping[str, tuple[type, ...]]]]
        parts = [(found, _KINDS), (found["source"], _SOURCE), (found["after"], _AFTER)]
        parts += [(found["settings"], _SETTINGS)] if found["settings"] is not None else []
        for part, kinds in parts:
            wrong = [n for n, value in part.items() if not isinstance(value, kinds.get(n, ()))]
            if wrong:
                raise ValueError(f"{wrong[0]!r}")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise StepwellError(
            f"Expected what a training was told in {path}, found something else "
            f"({type(error).__name__}: {str(error)[:200]}): bring back a copy, or learn anew with "
            f"--overwrite."
        ) from None
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
