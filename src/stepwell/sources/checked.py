"""Tables, looked through in another process before this one reads them; once as long as they
stay as they are."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stepwell.interfaces import StepwellError
from stepwell.sources import tablecheck

WAIT_S = 120
"""Seconds that looking through a file may take, and one more for each 8 MB."""


class State(NamedTuple):
    """A file as it is now."""

    path: str
    size: int
    changed: int
    node: int


_known: dict[State, str] = {}
"""What is wrong with files, empty where nothing is."""


def check_tables(files: Sequence[Path]) -> None:
    """Raise unless Arrow can read all these files; one process looks through those that are new.

    Raises
    ------
    StepwellError
    """
    states = [_state(file) for file in files]
    new = [state for state in dict.fromkeys(states) if state not in _known]
    if new:
        _known.update(zip(new, _problems(new), strict=True))
    for file, state in zip(files, states, strict=True):
        if _known[state]:
            raise damaged(file, _known[state])


def damaged(file: Path, why: str) -> StepwellError:
    """What is said of a table that can't be read."""
    return StepwellError(
        f"Expected a table in {file}, found one that can't be read ({why}): download or write it "
        f"again."
    )


def _state(file: Path) -> State:
    try:
        about = os.stat(file)
    except OSError as error:
        raise damaged(file, error.strerror or str(error)) from None
    return State(os.path.abspath(file), about.st_size, about.st_mtime_ns, about.st_ino)


def _problems(states: Sequence[State]) -> Iterator[str]:
    """What is wrong with each; a process that ends early is to blame on the file it was at."""
    left, command = list(states), _command()
    while left:
        if command is None:
            yield from _here(left, "no Python to start was found")
            return
        said, why = _asked(command, left)
        if said is None:
            yield from _here(left, why)
            return
        yield from said
        left = left[len(said) :]
        if left:
            yield why
            left = left[1:]


def _asked(command: list[str], states: Sequence[State]) -> tuple[list[str] | None, str]:
    """What a process says of files, none if it can't look at any, and why it said no more."""
    try:
        done = subprocess.run(
            command,
            input=json.dumps([state.path for state in states]).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
            timeout=WAIT_S * len(states) + sum(state.size for state in states) / 2**23,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return _lines(error.stdout), "it takes too long to be looked through"
    except OSError as error:
        return None, str(error)
    if done.returncode == tablecheck.MISSING:
        return None, "it finds no pyarrow"
    said = _lines(done.stdout)
    if done.returncode == 0 and len(said) < len(states):
        return None, "it gives no answer"
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return said, "it takes too long to be looked through"
    return said, f"damaged: whatever reads it ends with code {done.returncode}"


def _lines(answer: bytes | None) -> list[str]:
    """Whole lines of what a process said."""
    whole = (answer or b"").rpartition(b"\n")[0]
    return [str(json.loads(line)) for line in whole.splitlines()]


def _command() -> list[str] | None:
    """How to look through files: without the user's settings, packages and start-up files, and
    nothing taken from the folder one happens to be in."""
    python, script = sys.executable or "", tablecheck.__file__
    # In a program that is frozen, or has Python built in, this may be that program.
    name = re.match(r"(python|pypy)[\d.]*[wtd]*(\.exe)?$", os.path.basename(python).lower())
    if getattr(sys, "frozen", False) or not name or not os.path.isfile(script):
        return None
    import numpy
    import pyarrow

    folders = dict.fromkeys(os.path.dirname(m.__path__[0]) for m in (pyarrow, numpy))
    return [python, "-I", "-S", script, *folders]


def _here(states: Sequence[State], why: str) -> Iterator[str]:
    """The same in this process: what is damaged is found, but what ends a process ends this."""
    warnings.warn(
        f"Tables are looked through without a process of their own ({why}): one that was made to "
        f"do harm could end this one.",
        RuntimeWarning,
        stacklevel=2,
    )
    for state in states:
        yield tablecheck.problem(state.path)
