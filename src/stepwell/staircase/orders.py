"""The two orders of a spectral run: when each of its dimensions would come, and on what clock.

The closed form has no time of its own. From the same moments follow two stories, and one is
never told for the other:

- ``gradient``: plain gradient descent on the features, from small weights. Large and
  invariant directions come first: by γ, of the uncentred Γ (Simon et al., ICML 2023).
- ``whitened``: the same on whitened features, where size does not count. Invariant
  directions come first: by λ, which is the order of the run's own dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stepwell.staircase.records import COUNT, facts_of, moments_of
from stepwell.staircase.theory import APART, critical_times, singular_values

F64 = NDArray[np.float64]
GRADIENT, WHITENED = "gradient", "whitened"
SMALL = 1e-8
"""What the eigenvalue of the first dimension starts at: weights are as small as that asks for,
the same for all dimensions."""
AT_ONCE = APART / -float(np.log(SMALL))
"""Times that are apart by less than this share of themselves are near-ties, as theory has it:
the earlier mode has crossed half before the later one is out of reach."""
SHOWN = 24
"""Dimensions that are followed."""


def arrivals(values: F64) -> F64:
    """(k,) critical times of dimensions with these eigenvalues; the first comes at 1.

    Parameters
    ----------
    values : (k,)
        γ or λ, positive.
    """
    times = critical_times(values, _start(values))
    return np.asarray(times / times[0])


def together(times: F64) -> NDArray[np.intp]:
    """(k,) for ascending times the number of the group each belongs to, from 0.

    Steps of one group come almost at once: theory makes no claim which is first.
    """
    times = np.asarray(times, np.float64)
    apart = np.diff(times) > AT_ONCE * times[1:]
    return np.concatenate([[0], np.cumsum(apart)]).astype(np.intp)


def walk(clock: str, values: F64, z: F64, partners: F64) -> Iterator[dict[str, Any]]:
    """Records of the spectrum along training, as theory has it, on a probe set of views.

    Parameters
    ----------
    clock : {"gradient", "whitened"}
    values : (k,)
        γ or λ.
    z, partners : (n, k)
        Two fresh views of each example, projected to unit-norm modes: what sⱼ(t) is
        multiplied to. Sums over them differ from those that were solved for, so plateaus may
        lie below or above 1, and an eigenvalue need not be that of the mode of its rank:
        ``modes`` says whose it is.
    """
    values, z, partners = values[:SHOWN], z[:, :SHOWN], partners[:, :SHOWN]
    start = _start(values)
    first = float(critical_times(values, start)[0])
    stops = np.geomspace(0.3, 1.5 * float(arrivals(values).max()), COUNT)
    sizes = singular_values(values, start, first * stops)
    cross, covariance = moments_of(z, partners)
    for stop, size in zip(stops, sizes, strict=True):
        found, vectors = np.linalg.eigh(size[:, None] * cross * size)
        spread = np.linalg.eigvalsh(size[:, None] * covariance * size)
        facts = facts_of(clock, float(f"{stop:.6g}"), found, spread)
        yield facts | {"modes": _carriers(vectors[:, ::-1])}


def _carriers(vectors: F64) -> list[int]:
    """The mode that each eigenvector, in descending order, is made of most; each mode once."""
    modes, ranks = linear_sum_assignment(-np.square(vectors))
    return [int(mode) for mode in modes[np.argsort(ranks)]]


def _start(values: F64) -> F64:
    return np.full(len(values), np.sqrt(SMALL / values[0]))
