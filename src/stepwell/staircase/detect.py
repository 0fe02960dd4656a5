"""Find the steps of any run, in the eigenvalues of its embedding logged along the way.

A step is a lasting rise of one sorted eigenvalue: from a level, or from nothing, to a
plateau. It is looked for in the logarithm, where a mode that grows exponentially is a
slope and noise is of one size; its time is when the eigenvalue passes half of the plateau,
as the paper defines it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from stepwell.interfaces import StepwellError

F64 = NDArray[np.float64]
WINDOWS = (2, 3, 5, 9, 17)
"""Records on either side that are compared: short ones for steep steps, long ones for small."""
FALSE_ALARM = 1e-3
"""Chance of one false step or more in a run that has none."""
LEAST = 0.1
"""Rises of less in the logarithm are the drift of a plateau, not a new dimension."""
CLEAR = 2.5
"""So many standard deviations of the noise a step is high, at least: when several plateaus
of one height are sorted, each drifts by up to two as others join them."""
SHARE = 0.06
"""… and this share of how far the eigenvalue goes over the whole run."""
FLOOR = 1e-12
"""Eigenvalues below this share of the largest are nothing but rounding."""
STEEP, RUN = 0.02, 3
"""Less than this share of the steepest slope of a rise, over so many records, is a plateau."""
FEWEST = 12
SHORTEST = 8
"""Records that a plateau lasts: less is a pause, of noise or of two modes that change places."""


@dataclass(frozen=True)
class Step:
    """One dimension that was gained.

    Attributes
    ----------
    index : int
        Which of the sorted eigenvalues, from 0.
    time : float
        When it passed half of its new level, in the units of the records.
    begin, end : float
        From the first to the last record of the rise.
    size : float
        Height in the natural logarithm of the eigenvalue.
    confidence : float
        One less the chance that noise alone makes such a rise anywhere in the run.
    """

    index: int
    time: float
    begin: float
    end: float
    size: float
    confidence: float


def find_steps(times: F64, eigenvalues: F64, *, least: float = LEAST) -> list[Step]:
    """Steps of a run, in the order of their times.

    Parameters
    ----------
    times : (t,)
        Ascending: samples, steps or seconds.
    eigenvalues : (t, d)
        Sorted in descending order at each time; what is not positive counts as nothing.
    least : float
        Smallest height in the logarithm.

    Raises
    ------
    StepwellError
        For fewer than a dozen records, times that do not ascend, or values that are not
        finite.
    """
    times, eigenvalues = checked(times, eigenvalues)
    # A cross-correlation of a few views has negative eigenvalues, of noise: what is no larger
    # than these is nothing.
    floor = max(FLOOR * float(eigenvalues.max()), -float(eigenvalues.min()), 1e-300)
    logs = np.log(np.maximum(eigenvalues, floor))
    found = []
    for index, column in enumerate(logs.T):
        found += _steps_of(index, times, column, logs.size * len(WINDOWS), least)
    return sorted(found, key=lambda step: (step.time, step.index))


def checked(times: F64, eigenvalues: F64) -> tuple[F64, F64]:
    """Both as float64, if they are the records of a run."""
    times, eigenvalues = np.asarray(times, float), np.asarray(eigenvalues, float)
    if eigenvalues.ndim != 2 or times.shape != eigenvalues.shape[:1] or not eigenvalues.shape[1]:
        raise StepwellError(
            f"Expected eigenvalues (t, d), a row for each time, found {times.size} times and "
            f"shape {eigenvalues.shape}."
        )
    if len(times) < FEWEST:
        raise StepwellError(
            f"Expected {FEWEST} records or more, found {len(times)}: log more often, or wait."
        )
    if not np.isfinite(eigenvalues).all():
        raise StepwellError(
            "Expected finite eigenvalues, found NaN or infinity: the run diverged; lower its "
            "learning rate."
        )
    if not (np.diff(times) > 0).all():
        raise StepwellError("Expected times that ascend, found some that do not: sort records.")
    return times, eigenvalues


def noise_of(column: F64) -> float:
    """Standard deviation of the noise around a smooth curve, whatever its slope.

    From the median size of second differences, which few steps can't move.
    """
    second = np.diff(column, 2)
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / np.sqrt(6))


def _steps_of(index: int, times: F64, column: F64, tests: int, least: float) -> list[Step]:
    noise = max(noise_of(column), 1e-3)
    bar = float(-ndtri(FALSE_ALARM / tests))
    rises, steps = _rises(column, noise, bar), []
    low, high = np.quantile(column, [0.02, 0.98])
    least = max(least, CLEAR * noise, SHARE * float(high - low))
    stops = [begin for begin, _, _ in rises[1:]] + [len(column)]
    for (begin, end, evidence), stop in zip(rises, stops[: len(rises)], strict=True):
        before = float(np.median(column[max(0, begin - 8) : begin + 1]))
        level = float(np.median(column[end : min(max(stop, end + 1), end + 17)]))
        height = level - before
        if height < least or len(column) - 1 - end < SHORTEST:
            continue  # of a rise that goes on, the plateau is not known yet
        half = level - log(2) if height > 2 * log(2) else level - height / 2
        p = 0.5 * erfc(evidence / 2**0.5)
        steps.append(
            Step(
                index,
                _passes(times, column, begin, end, half),
                float(times[begin]),
                float(times[end]),
                height,
                1 - min(1.0, p * tests),
            )
        )
    return steps


def _rises(column: F64, noise: float, bar: float) -> list[tuple[int, int, float]]:
    """(first record, last record, evidence) of each stretch that rises beyond noise.

    Short windows come first, since they tell near rises apart; a longer one adds only what
    they have not seen.
    """
    found: list[tuple[int, int, float]] = []
    for size in WINDOWS:
        if 2 * size > len(column):
            break
        rise = _evidence(column, noise, size)
        for begin, end in _runs(rise > bar):
            if all(end + size <= b or e + size <= begin for b, e, _ in found):
                # The rise itself lies where the windows meet, and goes on while it climbs.
                last = _reached(column, end, noise)
                first = len(column) - 1 - _reached(-column[::-1], len(column) - begin, noise)
                found.append((first, last, float(rise[begin : end + 1].max())))
    joined = _joined(sorted(found), column, noise)
    return [part for rise in joined for part in _steep(rise, column, noise)]


def _joined(
    rises: list[tuple[int, int, float]], column: F64, noise: float
) -> list[tuple[int, int, float]]:
    """Rises without a plateau between them are one."""
    found: list[tuple[int, int, float]] = []
    for begin, end, evidence in rises:
        if found:
            first, last, before = found[-1]
            brief = begin - last < max(SHORTEST, (end - first) / 4)
            if brief or _climbs(column[last : begin + 1], noise):
                found.pop()
                begin, evidence = first, max(before, evidence)
        found.append((begin, end, evidence))
    return found


def _steep(rise: tuple[int, int, float], column: F64, noise: float) -> list[tuple[int, int, float]]:
    """The steep parts of a rise: without noise, even the drift of a plateau is certain."""
    begin, end, evidence = rise
    slope = (column[begin + RUN : end + 1] - column[begin : end + 1 - RUN]) / RUN
    if len(slope) < SHORTEST or 1.5 * noise / RUN > STEEP * slope.max():
        return [rise]
    found: list[tuple[int, int, float]] = []
    for first, last in _runs(slope > STEEP * slope.max()):
        part = (begin + first, begin + last + RUN, evidence)
        if found and part[0] - found[-1][1] < SHORTEST:
            part = (found.pop()[0], *part[1:])
        found.append(part)
    return found


def _reached(column: F64, at: int, noise: float) -> int:
    """The record up to which the curve goes on climbing from ``at``."""
    for size in (3, 9):
        while at + 2 * size <= len(column) and _climbs(column[at : at + 2 * size], noise):
            at += size
    return at


def _climbs(between: F64, noise: float) -> bool:
    """Whether these records are too steep to be a plateau."""
    some = min(9, len(between) // 2)
    climb = float(between[-some:].mean() - between[:some].mean())
    return climb > 2.5 * noise * float(np.sqrt(2 / some))


def _evidence(column: F64, noise: float, size: int) -> F64:
    """(t,) by how many standard errors ``size`` records after each lie above those before."""
    best = np.full(len(column), -np.inf)
    sums = np.concatenate([[0.0], np.cumsum(column)])
    at = np.arange(size, len(column) - size + 1)
    jump = (sums[at + size] - 2 * sums[at] + sums[at - size]) / size
    error = noise * np.sqrt(2 / size)
    # Noise that is not white varies more between long windows than short ones tell.
    wander = float(np.quantile(np.abs(jump), 0.25)) / 0.3186
    best[at] = jump / max(error, min(wander, 2 * error))
    return best


def _runs(high: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last record of each run of ``high``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _passes(times: F64, column: F64, begin: int, end: int, level: float) -> float:
    """When the curve passes ``level`` within a rise: noise may take it across several times,
    so half-way between the first and the last."""
    low = max(0, begin - 1)
    above = column[low : end + 2] >= level
    ups = np.flatnonzero(above[1:] & ~above[:-1])
    if not len(ups):
        return float(times[end])
    return sum(_between(times, column, low + int(at), level) for at in (ups[0], ups[-1])) / 2


def _between(times: F64, column: F64, at: int, level: float) -> float:
    before, after = column[at], column[at + 1]
    return float(times[at] + (level - before) / (after - before) * (times[at + 1] - times[at]))
