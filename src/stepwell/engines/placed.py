"""Sums over pairs whose rows lie somewhere: one cross-moment for each displacement.

With a pooled Γ, that a part stands *left* of another is lost. Here Γ_δ = Cov(aᵤ, aᵤ₊δ) is
kept for every displacement δ by itself, and what is sought are directions from which the
surroundings can be told, place by place: reduced-rank regression of the rows at all displacements
at once (Izenman, J. Multivariate Analysis 1975), each whitened as in canonical correlations,

    M v = λ² (Σ + ρI) v,  M = mean over δ and -δ of Γ_δ (Σ + ρI)⁻¹ Γ_δᵀ.

If all Γ_δ are the same and symmetric, λ and v are those of the pooled Γ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import ArrayLike, NDArray

from stepwell.engines.moments import DenseMoments, Law, accumulate_into, block_of, units_of
from stepwell.engines.spectral import Choice, dimensions, noise_share
from stepwell.interfaces import UsageError
from stepwell.kit.linalg import ridge_of, symmetric_top
from stepwell.kit.schema import Schema, Table, entries, several, whole

LEADING = 512
"""Principal components that displacements are compared in: in all of them, squares of noise would
outweigh what there is."""


class PlacedMoments:
    """Integer sums of int8 codes of units whose rows lie at known places.

    Parameters
    ----------
    width : int
        Dimensions d of the codes.
    places : (v, p) int
        Where each row of a unit lies, in the order of its rows: (row, column), or time.
    """

    name: ClassVar[str] = "placed_moments"
    likeness: ClassVar[bool] = False

    def __init__(self, width: int, places: ArrayLike) -> None:
        self.width, self.places = width, np.asarray(places, np.intp)
        self._pairs = displaced(self.places)
        self._count = sum(map(len, self._pairs.values()))
        self._waiting: list[Any] = []
        self._found = 0
        self._known: dict[str, Any] = {}

    def empty(self) -> Self:
        """The same, with nothing in it."""
        return type(self)(self.width, self.places)

    def add(self, codes: Any, unit: NDArray[np.intp]) -> None:
        """Add the units whose rows are ``codes`` (m, d) int8; units of one row add nothing.

        Raises
        ------
        ValueError
            If a unit has not as many rows as there are places.
        """
        order, start, count = units_of(unit)
        if (count != len(self.places)).any():
            raise ValueError(f"expected {len(self.places)} rows a unit, found {set(count)}")
        rows = order[start[:, None] + np.arange(len(self.places))]
        self._waiting.append(codes[rows.ravel(), :])
        # As many as one exact product can hold, since adding it up takes longer than a few rows.
        if sum(map(len, self._waiting)) >= len(self.places) * block_of(1):
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        xp, places = array_namespace(self._waiting[0]), len(self.places)
        rows = xp.concat(self._waiting, axis=0)
        self._waiting = []
        if not self._known:
            like = DenseMoments(self.width).zeros(xp, rows)
            self._known = {"sum": xp.stack([like["sum"]] * places), "square": like["square"]}
            self._known |= {name: xp.zeros_like(like["square"]) for name in self._pairs}
        for start in range(0, len(rows), places * block_of(1)):
            each = xp.astype(rows[start : start + places * block_of(1), :], xp.float32)
            at = [each[place::places, :] for place in range(places)]
            self._found += len(at[0])
            self._known["sum"] += xp.stack([xp.astype(xp.sum(a, axis=0), xp.int64) for a in at])
            for one in at:
                accumulate_into(self._known["square"], one, one)
            for name, pairs in self._pairs.items():
                for first, second in pairs:
                    accumulate_into(self._known[name], at[first], at[second])

    @property
    def sums(self) -> dict[str, Any]:
        """Of the rows at each place (``sum``), of all rows' products with themselves
        (``square``), and of products of two rows by displacement."""
        self._flush()
        return self._known

    @property
    def units(self) -> int:
        """Units added so far."""
        self._flush()
        return self._found

    def law(self) -> Law:
        """Centred moments; ``gamma`` is M, whose eigenvalues are squared.

        Each place is centred by its own mean: that skies are above says nothing of an image. In
        the leading components only, with the usual ρ inside, and without what noise alone adds
        to squares: among n pairs of rows with covariance D that have nothing to do with each
        other, tr(D) D / n. Rows of a unit are alike, so n is the number of units at the safest.

        λ ≤ 1 where rows vary alike at all places; else up to the root of their number.
        """
        units, means = max(self.units, 1), self._means()
        sigma = self._mean("square", len(means)) - means.T @ means / len(means)
        law = Law(means.mean(0), sigma, sigma, units, squared=True)
        level = ridge_of(sigma, Choice().rho * noise_share(law))
        values, vectors = symmetric_top(sigma, dimensions(LEADING, units))
        kept = np.maximum(values, 0) / (values + level)
        basis = vectors / np.sqrt(values + level)
        inner = np.zeros((len(kept), len(kept)))
        for name, pairs in self._pairs.items():
            first, second = means[[i for i, _ in pairs]], means[[j for _, j in pairs]]
            gamma = self._mean(name, len(pairs)) - first.T @ second / len(pairs)
            gamma = basis.T @ gamma @ basis
            noise = kept.sum() / units * np.diag(kept)
            both = (gamma @ gamma.T + gamma.T @ gamma) / 2  # the displacement, and back
            inner += (both - noise) * (len(pairs) / self._count)
        back = sigma @ basis + level * basis
        return replace(law, gamma=back @ inner @ back.T)

    def pooled(self) -> Law:
        """Centred moments of all pairs of a unit, wherever their rows lie."""
        mu = self._means().mean(0)
        sigma = self._mean("square", len(self.places)) - np.outer(mu, mu)
        gamma = -np.outer(mu, mu)
        for name in self._pairs:
            found = self._mean(name, self._count)
            gamma += (found + found.T) / 2
        return Law(mu, gamma, sigma, max(self.units, 1))

    def _means(self) -> Any:
        """(v, d) of the rows at each place."""
        if not self.units:
            return np.zeros((len(self.places), self.width))
        return np.asarray(self.sums["sum"], np.float64) / self.units

    def _mean(self, name: str, count: int) -> Any:
        """(d, d) of products of which a unit has so many."""
        if not self.units:
            return np.zeros((self.width, self.width))
        return np.asarray(self.sums[name]) / np.float64(self.units * count)

    def __add__(self, other: Self) -> Self:
        return self._combined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._combined(other, -1)

    def _combined(self, other: Self, sign: int) -> Self:
        if other.width != self.width or not np.array_equal(other.places, self.places):
            raise ValueError("expected moments of the same width and places, found others")
        result = self.empty()
        result._found = self.units + sign * other.units
        mine, theirs = self.sums, other.sums
        for name in {**mine, **theirs}:
            added = sign * theirs[name] if theirs else 0
            result._known[name] = mine[name] + added if mine else added
        return result

    @property
    def takes(self) -> int:
        """Features of a row."""
        return self.width

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays."""
        settings = {"width": self.width, "places": self.places.tolist(), "units": self.units}
        return settings, {name: np.asarray(each) for name, each in self.sums.items()}

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        rules = {
            "width": whole(1, 100_000),
            "places": several(several(whole(-1000, 1000), 4, 1), 256, 2),
            "units": whole(0, 2**60),
        }
        entries(rules)(dict(settings))
        if len(set(map(len, settings["places"]))) > 1:
            raise ValueError("places of several numbers of axes")
        some = Table("i", ("width", "width"))
        arrays = {"sum": Table("i", ("places", "width")), "square": some}
        arrays |= dict.fromkeys(displaced(np.array(settings["places"])), some)
        sizes = {"width": settings["width"], "places": len(settings["places"])}
        return Schema({}, arrays if settings["units"] else _nothing(arrays), sizes)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        moments = cls(int(settings["width"]), settings["places"])
        moments._found = int(settings["units"])
        moments._known = {name: np.array(each) for name, each in arrays.items()}
        return moments


def displaced(places: NDArray[np.intp]) -> dict[str, list[tuple[int, int]]]:
    """Pairs of rows by displacement, such as "0,1"; of each and its opposite one is kept."""
    found: dict[str, list[tuple[int, int]]] = {}
    for first in range(len(places)):
        for second in range(len(places)):
            step = (places[second] - places[first]).tolist()
            if step > [0] * len(step):
                found.setdefault(",".join(map(str, step)), []).append((first, second))
    return found


def moments_for(pretext: Any, width: int) -> Any:
    """What adds up the pairs of a pretext: by displacement, where its rows have places.

    Raises
    ------
    UsageError
        If places are no table of whole numbers.
    """
    places = getattr(pretext, "places", None)
    if places is None:
        return DenseMoments(width)
    found = np.asarray(places)
    if found.ndim != 2 or found.dtype.kind not in "iu" or len(found) < 2:
        raise UsageError(
            f"Expected places of {pretext.name} as whole numbers (rows of a unit, axes), found "
            f"{found.dtype} of shape {found.shape}."
        )
    return PlacedMoments(width, found)


def _nothing(arrays: Mapping[str, Table]) -> dict[str, Table]:
    """The same where no unit was added: there may be none of them."""
    return {name: table._replace(optional=True) for name, table in arrays.items()}
