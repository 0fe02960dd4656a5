"""How sure a figure is: 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

Z95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A figure in per cent with its 95 % interval, and how many it rests on."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, rounded to a hundredth."""
        return {name: round(number, 2) for name, number in asdict(self).items()}


def share(hits: int, n: int) -> Estimate:
    """Wilson's score interval of a proportion (JASA 1927), right for small n too."""
    if n == 0:
        return Estimate(float("nan"), 0.0, 100.0, 0)
    p, z2 = hits / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Estimate(100 * p, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half), n)


def over_draws(values: Sequence[float], n: int) -> Estimate:
    """Mean over repeated draws of the labelled examples, in per cent.

    The interval joins the spread of the draws with the size of the test set.
    """
    values = [float(v) for v in values]
    mean = float(np.mean(values))
    draws = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    test = mean / 100 * (1 - mean / 100) / max(n, 1) * 1e4
    half = Z95 * float(np.sqrt(draws + test))
    return Estimate(mean, max(0.0, mean - half), min(100.0, mean + half), n)


def paired_draws(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Points by which ``first`` is above ``second``, (draws, n) boolean hits on the same draws.

    The interval joins the spread of the draws with that of the examples.
    """
    gap = 100.0 * (np.asarray(first, float) - np.asarray(second, float))
    draws, n = gap.shape
    variance = float(gap.mean(0).var(ddof=1)) / n if n > 1 else 1e4
    variance += float(gap.mean(1).var(ddof=1)) / draws if draws > 1 else 0.0
    half, mean = Z95 * float(np.sqrt(variance)), float(gap.mean())
    half = max(half, 300 / n) if not gap.any() or np.ptp(gap) == 0 else half  # the rule of three
    return Estimate(mean, mean - half, mean + half, n)


def paired_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Points by which ``first`` is above ``second`` on the same examples (boolean hits)."""
    gap = 100.0 * (np.asarray(first, float) - np.asarray(second, float))
    half = Z95 * float(gap.std(ddof=1)) / np.sqrt(len(gap)) if len(gap) > 1 else 100.0
    return Estimate(float(gap.mean()), float(gap.mean() - half), float(gap.mean() + half), len(gap))
