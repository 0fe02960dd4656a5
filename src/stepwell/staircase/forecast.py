"""When does the next step come? From the growth of a mode before it crosses.

With e a mode's share of its plateau, the linear model is de/dt ∝ e (1 - e): logistic. If L
layers that start small grow together, a mode speeds up as it grows,

    de/dt ∝ e^{1+q} (1 - e),   q = 1 - 1/L                                         (13)

(docs/staircase.md; deep linear networks: Saxe, McClelland & Ganguli, ICLR 2014). So
∫ de / e^{1+q} (1 - e) is a straight line in time, and the step comes where it reaches its
value at ½. All q are tried; those count most that fit this mode's records, and that would
have foretold the earlier steps of this run. What they foretold wrongly is the interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from stepwell.staircase.detect import FEWEST as FEWEST_RECORDS
from stepwell.staircase.detect import checked
from stepwell.staircase.simulate import crossings, logit

F64 = NDArray[np.float64]
POWERS = np.linspace(0.0, 1.0, 11)
"""Values of q: one layer … very many."""
SPAN = 1.2
"""Growth in the logarithm that lines are fitted to; what lies further back is another regime."""
FEWEST = 5
"""Records a line needs."""
TRUST = 0.3
"""A power that was off by this factor (in the logarithm) for an earlier step loses weight
e^-½ for each."""
SMOOTH = 0.001
"""Scatter of records below which nothing is made of its being smaller still."""
FIRM = 0.005
"""Relative error of a forecast from records without any noise, before there are others to
learn from; scatter of the records adds :data:`SHAKEN` times itself, and growth that speeds
up, which no simple law describes well, :data:`BENT` times its power."""
SHAKEN = 1.0
BENT = 1.0
DEEP = 40.0
"""Logits below minus this are nothing but rounding."""
FAR = 30.0
"""So many times as far ahead as the records reach back is too far to tell."""
RISEN = 10.0
"""So many times its first value a first dimension is above, if it has come."""
LULL, SETTLED = 10, 0.3
"""A dimension has settled if so many records ago it was within this of now, in the logarithm."""
ARRIVED = 0.5
"""Share of its plateau at which a dimension has come."""
UNKNOWN = "no dimension has come yet, so where they end is not known"


@dataclass(frozen=True)
class Forecast:
    """When a mode will pass half of its plateau.

    Attributes
    ----------
    index : int
        Which of the sorted eigenvalues, from 0; -1 where none is on its way.
    time : float
        NaN where nothing can be said.
    low, high : float
        80 % interval.
    why : str
        Where ``time`` is NaN: the reason.
    """

    index: int
    time: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    why: str = ""


def next_step(times: F64, eigenvalues: F64, *, plateau: float | None = None) -> Forecast:
    """The next dimension to come, of a run up to now.

    Parameters
    ----------
    times : (t,)
        Ascending; the last is now. Samples, or learning rate times steps where that changes.
    eigenvalues : (t, d)
        Of the embedding's cross-correlation, descending.
    plateau : float, optional
        Where each will end: 1 for the linear model; None: as those before it did.

    Raises
    ------
    StepwellError
        For records that make no sense; see :func:`~stepwell.staircase.detect.find_steps`.
    """
    times, eigenvalues = checked(times, eigenvalues)
    levels = levels_of(eigenvalues, plateau)
    if np.isnan(levels).any():
        return Forecast(0, why=UNKNOWN)
    waiting = np.flatnonzero(eigenvalues[-1] < ARRIVED * levels)
    if not len(waiting):
        return Forecast(-1, why="all dimensions have come")
    return _forecast(times, eigenvalues, levels, int(waiting[0]))


def forecast(times: F64, eigenvalues: F64, index: int, *, plateau: float | None = None) -> Forecast:
    """When dimension ``index`` passes half of its plateau; see :func:`next_step`."""
    times, eigenvalues = checked(times, eigenvalues)
    levels = levels_of(eigenvalues, plateau)
    if np.isnan(levels).any():
        return Forecast(index, why=UNKNOWN)
    return _forecast(times, eigenvalues, levels, index)


def _forecast(times: F64, eigenvalues: F64, levels: F64, index: int) -> Forecast:
    odds = logit(eigenvalues / levels)
    now, column = float(times[-1]), odds[:, index]
    if column[-1] >= 0:
        return Forecast(index, why="it has come")
    ahead, misfit, scatter = _ahead(times, column)
    if not np.isfinite(ahead).any():
        return Forecast(index, why="it does not grow, or has too few records yet")
    missed = _missed(times, eigenvalues, levels, odds, index)
    weight = -0.5 * misfit / max(scatter, SMOOTH) ** 2 - 0.5 * np.square(missed / TRUST).sum(0)
    weight = np.where(np.isfinite(ahead), weight, -np.inf)
    weight = np.exp(weight - weight.max())
    prior = np.square(FIRM + SHAKEN * scatter + BENT * POWERS)
    spread = np.sqrt((prior + np.square(missed).sum(0)) / (1 + len(missed)))
    # A spread that few earlier steps tell is not sure itself: Student's t instead of the normal.
    spread *= float(stdtrit(2 + len(missed), 0.9) / ndtri(0.9))
    low, middle, high = _quantiles(np.log(ahead), spread, weight, (0.1, 0.5, 0.9))
    return Forecast(index, now + middle, now + low, now + high)


def levels_of(eigenvalues: F64, plateau: float | None) -> F64:
    """(d,) where each dimension is thought to end; NaN where that can't be known.

    Known for some losses. Else those that have risen and no longer grow stay where they are,
    and each further one ends as much below the last as that does below the one before it.
    Before the first has come nothing is known.
    """
    d = eigenvalues.shape[1]
    if plateau is not None:
        return np.full(d, float(plateau))
    recent = np.maximum(np.median(eigenvalues[-5:], axis=0), 1e-300)
    before = np.maximum(np.median(eigenvalues[-5 - LULL : -LULL or None], axis=0), 1e-300)
    calm = np.abs(np.log(recent / before)) < SETTLED
    come = int(calm[0] and recent[0] > RISEN * max(float(eigenvalues[0, 0]), 0.0))
    # Not too far below the one before it to have come as that did.
    while 0 < come < d and calm[come] and recent[come] > recent[come - 1] / 10:
        come += 1
    if not come:
        return np.full(d, np.nan)
    fall = float(np.clip(recent[come - 1] / recent[come - 2], 0.5, 1)) if come > 1 else 1.0
    levels = recent.copy()
    levels[come:] = recent[come - 1] * fall ** np.arange(1, d - come + 1)
    return levels


def _ahead(times: F64, odds: F64) -> tuple[F64, F64, float]:
    """By each power: time that is left, squared misfit; and the scatter about the best line.

    ``odds`` are logarithms, the last of now; NaN where a line does not rise.
    """
    rows = _window(odds)
    if len(rows) < FEWEST:
        return np.full(len(POWERS), np.nan), np.full(len(POWERS), np.inf), float("nan")
    x, z = times[rows] - times[-1], odds[rows]
    y = np.stack([np.interp(z, *line) for line in _straightened()])
    slope = np.exp(-POWERS[:, None] * np.logaddexp(0, -z))  # of the logit against y: e^q
    rate, start = _lines(x, y, slope**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ahead = np.where((rate > 0) & (start < 0), -start / rate, np.nan)
    ahead = np.where(ahead < -FAR * x[0], ahead, np.nan)
    misfit = (np.square(y - rate[:, None] * x - start[:, None]) * slope**2).sum(1)
    misfit = np.where(np.isfinite(ahead), misfit, np.inf)
    best = float(misfit.min())
    return ahead, misfit, float(np.sqrt(best / (len(rows) - 2))) if np.isfinite(best) else np.nan


def _lines(x: F64, y: F64, weight: F64) -> tuple[F64, F64]:
    """Slope and intercept of a weighted least-squares line for each row of ``y``."""
    total = weight.sum(1)
    mean_x, mean_y = (weight * x).sum(1) / total, (weight * y).sum(1) / total
    off = x - mean_x[:, None]
    spread = (weight * off**2).sum(1)
    rate = (weight * off * y).sum(1) / np.where(spread > 0, spread, 1)
    return rate, mean_y - rate * mean_x


@cache
def _straightened() -> list[tuple[F64, F64]]:
    """By each power: logits of e below ½, and the integral in (13) from ½ to there.

    With z the logit of e, de / e (1 - e) = dz, so the integrand is e^{-q} = (1 + e^{-z})^q.
    """
    z = np.linspace(-DEEP, 0, 100 * int(DEEP) + 1)
    lines = []
    for q in POWERS:
        rise = np.exp(q * np.logaddexp(0, -z))
        steps = np.diff(z) * (rise[:-1] + rise[1:]) / 2
        lines.append((z, -np.append(np.cumsum(steps[::-1])[::-1], 0.0)))
    return lines


def _window(odds: F64) -> NDArray[np.intp]:
    """The last records, back to where the curve was :data:`SPAN` lower than now."""
    low = np.flatnonzero(odds < odds[-1] - SPAN)
    first = min(int(low[-1]) + 1 if len(low) else 0, max(0, len(odds) - FEWEST))
    rows = np.arange(first, len(odds))
    return rows[odds[rows] > -DEEP]


def _missed(times: F64, eigenvalues: F64, levels: F64, odds: F64, index: int) -> F64:
    """(steps, powers): log of real over foretold time, at the same share, for earlier steps."""
    arrived = crossings(times, eigenvalues[:, :index] / levels[:index])
    found = []
    for j, when in enumerate(arrived):
        before = np.flatnonzero((odds[:, j] >= odds[-1, index]) & (times < when))
        if not np.isfinite(when) or not len(before) or before[0] < FEWEST:
            continue
        then = int(before[0])
        ahead, _, _ = _ahead(times[: then + 1], odds[: then + 1, j])
        miss = np.log(max(when - times[then], 1e-9 * when)) - np.log(ahead)
        found.append(np.clip(np.nan_to_num(miss, nan=1.0), -1.5, 1.5))
    return np.array(found).reshape(-1, len(POWERS))


def _quantiles(
    centres: F64, spreads: F64, weights: F64, shares: tuple[float, ...]
) -> tuple[float, ...]:
    """Quantiles, not in logarithms, of a mixture of normal distributions of a logarithm."""
    some = weights > 1e-6
    steps = np.linspace(-3, 3, 121)
    points = (centres[some, None] + spreads[some, None] * steps).ravel()
    mass = (weights[some, None] * np.exp(-0.5 * steps**2)).ravel()
    order = np.argsort(points)
    cumulated = np.cumsum(mass[order]) / mass.sum()
    return tuple(float(np.exp(np.interp(share, cumulated, points[order]))) for share in shares)


def lies_beyond(found: Forecast, budget: float) -> bool:
    """The stop rule: whether the next step comes after ``budget``, in the same units.

    Its whole interval has to lie beyond. Where nothing can be foretold, nothing is stopped.
    """
    return bool(found.low > budget)


def until(budget: float) -> Callable[[F64, F64], bool]:
    """A rule for :func:`stepwell.staircase.networks.train`: stop if nothing more will come.

    Parameters
    ----------
    budget : float
        In the units of the times.
    """

    def stop(times: F64, eigenvalues: F64) -> bool:
        return len(times) >= FEWEST_RECORDS and lies_beyond(next_step(times, eigenvalues), budget)

    return stop


def words(found: Forecast, now: float, per_second: float) -> str:
    """``next step ≈ 1,900 ± 150 samples (≈ 40 s)``, or why it can't be told."""
    if not np.isfinite(found.time):
        return f"next step: not to be told ({found.why})"
    ahead, half = found.time - now, (found.high - found.low) / 2
    cost = f" (≈ {ahead / per_second:,.0f} s)" if per_second > 0 else ""
    return f"next step ≈ {_round(ahead)} ± {_round(half)} samples{cost}"


def _round(value: float) -> str:
    """Two or three digits: more would not be known."""
    digits = 10.0 ** np.floor(np.log10(max(abs(value), 1.0)) - 1)
    return f"{round(value / digits) * digits:,.0f}"
