"""Train the linear model of :mod:`stepwell.staircase.theory` in numbers: the measurement.

Everything is done in the eigenbasis of Γ, where one step costs d²D instead of dD² and is
the same but for rounding. Float64 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trace:
    """What was seen along a training run.

    Attributes
    ----------
    times : (t,)
        Steps of gradient descent, or time of gradient flow.
    eigenvalues : (t, d)
        Of the embedding's cross-correlation W Γ Wᵀ, descending.
    loss : (t,)
    weights : (d, D)
        At the end.
    """

    times: F64
    eigenvalues: F64
    loss: F64
    weights: F64


def small_weights(d: int, width: int, scale: float, seed: int) -> F64:
    """(d, width) normal initial weights of this scale."""
    return scale * np.random.default_rng(seed).standard_normal((d, width))


def records(last: float, count: int = 400, first: float = 1.0) -> F64:
    """``count`` or fewer whole steps from 0 to ``last``, evenly spaced in the logarithm."""
    spaced = np.round(np.geomspace(first, max(last, first), count))
    return np.unique(np.concatenate([[0.0], spaced]))


def descend(gamma: F64, weights: F64, rate: float, steps: F64) -> Trace:
    """Gradient descent W ← W - η ∂L/∂W from ``weights``, seen at ``steps`` (whole, ascending).

    Parameters
    ----------
    gamma : (D, D)
    weights : (d, D)
    rate : float
        Learning rate η; stable below about 1 / 8γ₁.
    steps : (t,)

    Raises
    ------
    StepwellError
        If it diverges: the rate is too large for the largest eigenvalue.
    """
    values, basis = np.linalg.eigh(gamma)
    turned = np.asarray(weights, np.float64) @ basis
    seen, done = [], 0
    for stop in np.asarray(steps, np.int64):
        with np.errstate(all="ignore"):  # what overflows is told below
            for _ in range(int(stop) - done):
                turned = turned + rate * _downhill(turned, values)
        done = int(stop)
        seen.append(_cross(turned, values))
        if not np.isfinite(seen[-1]).all():
            raise StepwellError(
                f"Expected training that settles, found it diverging after {done} steps at rate "
                f"{rate:g}: try less than {1 / (8 * float(values[-1])):.3g}."
            )
    return _trace(steps, seen, turned @ basis.T)


def flow(gamma: F64, weights: F64, times: F64, *, tolerance: float = 1e-9) -> Trace:
    """Gradient flow dW/dt = -∂L/∂W from ``weights`` at time 0, seen at ``times`` (ascending)."""
    from scipy.integrate import solve_ivp

    values, basis = np.linalg.eigh(gamma)
    shape = np.shape(weights)
    start = np.asarray(weights, np.float64) @ basis
    solved = solve_ivp(
        lambda _, w: _downhill(w.reshape(shape), values).ravel(),
        (0.0, float(times[-1])),
        start.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=tolerance,
        atol=tolerance * float(np.abs(start).max()),
    )
    if not solved.success:
        raise StepwellError(
            f"Expected gradient flow up to time {times[-1]:g}, found that integrating it fails "
            f"({solved.message}): ask for less, or for steps with `descend`."
        )
    turned = solved.y.T.reshape(-1, *shape)
    return _trace(times, [_cross(w, values) for w in turned], turned[-1] @ basis.T)


def crossings(times: F64, eigenvalues: F64, level: float = 0.5) -> F64:
    """(d,) when each sorted eigenvalue first passes ``level``, between records; NaN: never.

    Between two records log(e / (1 - e)), with 1 the end of the rise, is taken as straight:
    for one mode it is.
    """
    found = np.full(eigenvalues.shape[1], np.nan)
    for j, column in enumerate(eigenvalues.T / (2 * level)):
        above = np.flatnonzero(column >= 0.5)
        if len(above) and above[0] > 0:
            after = int(above[0])
            low, high = logit(column[after - 1 : after + 1])
            share = -low / (high - low)
            found[j] = times[after - 1] + share * (times[after] - times[after - 1])
    return found


def logit(share: F64) -> F64:
    """log(e / (1 - e)), for what is at or beyond the ends as far as numbers go."""
    share = np.clip(share, 1e-300, 1 - 1e-12)
    return np.asarray(np.log(share) - np.log1p(-share))


def _downhill(turned: F64, values: F64) -> F64:
    """-∂L/∂W = 4 (I - W Γ Wᵀ) W Γ, (2)."""
    scaled = turned * values
    return np.asarray(4 * (scaled - (scaled @ turned.T) @ scaled))


def _cross(turned: F64, values: F64) -> F64:
    return np.asarray((turned * values) @ turned.T)


def _trace(times: F64, crosses: list[F64], weights: F64) -> Trace:
    stack = np.array(crosses)
    eye = np.eye(stack.shape[1])
    loss = np.square(stack - eye).sum((1, 2))
    return Trace(
        np.asarray(times, float),
        np.asarray(np.linalg.eigvalsh(stack)[:, ::-1], float),
        loss,
        weights,
    )
