"""Moments of pairs of float rows, about their own mean: what no whole numbers can be made of.

Sums about zero lose what rows differ in where features lie far from zero (times of day in seconds
since 1970, temperatures in kelvin). Each part is centred by its own mean instead, and parts are
joined by the pairwise update of T. F. Chan, G. H. Golub & R. J. LeVeque (*The American
Statistician* 37, 1983); a fixed shift that all parts share keeps those means small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from stepwell.engines.moments import F64, Law

TINY = 1e-140
"""Of what features differ by: squares of less have few digits left in float64, or none."""


@dataclass(frozen=True, eq=False)
class CentredMoments:
    """Sums over pairs, about the mean of all their rows; ``+`` is their only algebra.

    Attributes
    ----------
    shift : (d,) float64
        What was taken off all rows; the same in all that is added up.
    mean : (d,) float64
        Of what was left.
    cross, square : (d, d) float64
        Of products of two partners, and of rows with themselves.
    pairs : int
    reach : float
        The largest difference from ``shift``.
    """

    shift: F64
    mean: F64
    cross: F64
    square: F64
    pairs: int
    reach: float

    @classmethod
    def of(cls, one: F64, two: F64, shift: F64) -> Self:
        """From (n, d) rows and their partners."""
        with np.errstate(over="ignore", invalid="ignore"):  # told by law
            one, two = one - shift, two - shift
            reach = max(float(np.abs(side).max()) for side in (one, two))
            mean = (one.mean(0) + two.mean(0)) / 2
            one, two = one - mean, two - mean
            cross = one.T @ two
            square = (one.T @ one + two.T @ two) / 2
            return cls(shift, mean, (cross + cross.T) / 2, square, len(one), reach)

    def __add__(self, other: Self) -> Self:
        both = self.pairs + other.pairs
        with np.errstate(over="ignore", invalid="ignore"):
            apart = other.mean - self.mean
            # Both marginals have the same mean, so products of partners move as squares do.
            moved = np.outer(apart, apart) * (self.pairs * (other.pairs / both))
            return type(self)(
                self.shift,
                self.mean + apart * (other.pairs / both),
                self.cross + other.cross + moved,
                self.square + other.square + moved,
                both,
                max(self.reach, other.reach),
            )

    def law(self, units: int) -> Law:
        """Centred moments, as of so many units.

        Raises
        ------
        ValueError
            If float64 can't hold the squares of what features differ by.
        """
        sigma = self.square / self.pairs
        if not np.isfinite(sigma).all() or 0 < self.reach < TINY:
            raise ValueError(
                f"Expected features that differ by about {TINY:g} to 1e150, so that float64 "
                f"can hold squares, found {self.reach:.2g}: scale X and its partners alike."
            )
        return Law(self.shift + self.mean, self.cross / self.pairs, sigma, units)
