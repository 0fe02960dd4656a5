"""What is logged along a run for the staircase: spectra of the embedding, log-spaced.

Every engine writes an event ``"spectrum"`` to ``steps.jsonl`` with these facts; whatever
reads steps needs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError

F64 = NDArray[np.float64]
EVENT = "spectrum"
_NEEDED = frozenset({"clock", "time", "cross", "covariance"})
SAMPLES = "samples"
"""The clock of a run that was trained."""
CLOCKS = ("gradient", "whitened", SAMPLES)
COUNT = 200
"""Records evenly spaced in the logarithm of time; as many more are evenly spaced in time."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """The records of one run.

    Attributes
    ----------
    clock : str
        What times count: ``"samples"``, or the time of an order that was computed.
    times : (t,)
    cross, covariance : (t, d)
        Eigenvalues of the embedding's cross-correlation and covariance, descending.
    seconds : (t,)
        When each was written, since the start of the run.
    centred : bool
        Whether the objective looks at the covariance: its steps are then those of that.
    modes : (t, d) or None
        Of an order that was computed: which of its modes carries each eigenvalue of ``cross``.
    """

    clock: str
    times: F64
    cross: F64
    covariance: F64
    seconds: F64
    centred: bool = False
    modes: NDArray[np.intp] | None = None

    def mode_at(self, index: int, time: float) -> int:
        """Which mode carries a sorted eigenvalue at a time; its rank where that is unknown."""
        if self.modes is None:
            return index
        row = min(int(np.searchsorted(self.times, time)), len(self.times) - 1)
        return int(self.modes[row, index])

    @property
    def shown(self) -> F64:
        """(t, d) the eigenvalues whose rises are steps."""
        return self.covariance if self.centred else self.cross


def moments_of(z: F64, partners: F64) -> tuple[F64, F64]:
    """Cross-correlation and covariance of what two views of the same examples are embedded to.

    Parameters
    ----------
    z, partners : (n, d)

    Returns
    -------
    cross : (d, d)
        (1/2n) Σ (z z'ᵀ + z' zᵀ), uncentred as in the theory.
    covariance : (d, d)
        Of all 2n rows, centred.
    """
    z, partners = np.asarray(z, np.float64), np.asarray(partners, np.float64)
    both = np.concatenate([z, partners])
    both = both - both.mean(0)
    product = z.T @ partners
    return (product + product.T) / (2 * len(z)), both.T @ both / len(both)


def record_of(clock: str, time: float, z: F64, partners: F64) -> dict[str, Any]:
    """Facts of one record: a probe set of views, (n, d) each, at a time."""
    cross, covariance = (np.linalg.eigvalsh(each) for each in moments_of(z, partners))
    return facts_of(clock, time, cross, covariance)


def facts_of(clock: str, time: float, cross: NDArray, covariance: NDArray) -> dict[str, Any]:
    """The same from ascending eigenvalues: plain values for an observer."""
    return {"clock": clock, "time": time} | {
        name: [float(f"{value:.6g}") for value in values[::-1]]
        for name, values in (("cross", cross), ("covariance", covariance))
    }


def schedule(steps: int) -> set[int]:
    """Which of the steps 0 … ``steps`` to record.

    :data:`COUNT` evenly spaced in the logarithm, since early steps are short; and as many
    evenly spaced in time, so that late ones are not missed between two records.
    """
    spaced = np.concatenate(
        [[0], np.geomspace(1, max(steps, 1), COUNT), np.linspace(0, steps, COUNT)]
    )
    chosen = {step for step in np.rint(spaced).astype(int).tolist() if step <= steps}
    # Whole numbers repeat where the logarithm is dense: the first free ones, up to COUNT.
    free = (step for step in range(steps + 1) if step not in chosen)
    return chosen | set(islice(free, max(0, COUNT - len(chosen))))


def thinned(steps: int, most: int) -> set[int]:
    """At most so many of :func:`schedule`, evenly among them."""
    wanted = sorted(schedule(steps))
    if len(wanted) <= most:
        return set(wanted)
    kept = np.unique(np.linspace(0, len(wanted) - 1, most).astype(int))
    return {wanted[i] for i in kept}


def read_spectra(path: Path) -> dict[str, Spectra]:
    """Records in a ``steps.jsonl``, by their clock; a half-written last line is left out.

    Raises
    ------
    StepwellError
        If a line that is whole makes no sense.
    """
    try:
        found = group(_events(path))
        for spectra in found.values():
            _check(spectra)
    except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
        raise StepwellError(
            f"Expected records of the staircase in {path}, found others "
            f"({' '.join(str(error).split())[:200]}): restore the file, or learn again."
        ) from None
    return found


def _check(spectra: Spectra) -> None:
    """Raise ValueError for records that nobody has written."""
    if spectra.clock not in CLOCKS:
        raise ValueError(f"a clock {str(spectra.clock)[:80]!r}")
    times = spectra.times
    if not np.isfinite(times).all() or times.min() < 0 or (len(times) > 1 and times.max() == 0):
        raise ValueError("times that are none")
    width = spectra.cross.shape[1]
    if spectra.covariance.shape[1] != width or not width:
        raise ValueError(f"{width} eigenvalues, and {spectra.covariance.shape[1]} of variance")
    if spectra.modes is not None and (
        spectra.modes.shape != spectra.cross.shape or spectra.modes.min() < 0
    ):
        raise ValueError(f"modes of shape {spectra.modes.shape}")


def _events(path: Path) -> Iterable[Mapping[str, Any]]:
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return  # being written
            try:
                event = json.loads(line)
                if event["event"] == EVENT and not event.keys() >= _NEEDED:
                    raise ValueError
            except (ValueError, TypeError, KeyError):
                raise StepwellError(
                    f"Expected an event a line, found something else in line {number} of {path}: "
                    f"restore the file, or learn again."
                ) from None
            yield event


def group(events: Iterable[Mapping[str, Any]]) -> dict[str, Spectra]:
    """Spectra by clock, from events."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event.get("event") == EVENT:
            rows.setdefault(event["clock"], []).append(event)
    return {
        clock: Spectra(
            clock,
            np.array([row["time"] for row in some], float),
            _rectangle([row["cross"] for row in some]),
            _rectangle([row["covariance"] for row in some]),
            np.array([row.get("t", np.nan) for row in some], float),
            bool(some[-1].get("centred", False)),
            np.array([row["modes"] for row in some], int) if "modes" in some[-1] else None,
        )
        for clock, some in rows.items()
    }


def _rectangle(rows: list[list[float]]) -> F64:
    width = min(map(len, rows))
    return np.array([row[:width] for row in rows], float).reshape(len(rows), width)
