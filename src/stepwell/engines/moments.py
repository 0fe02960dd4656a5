"""Sums over pairs, exact: the whole memory of a spectral run.

For the rows a₁ … a_V of a unit: s = Σ aᵥ and S = Σ aᵥaᵥᵀ. The ordered pairs u ≠ v then
sum to s sᵀ - S, in O(V). With weights 1/(V(V-1)) every unit counts the same, and

    Γ = mean of (s sᵀ - S)/(V(V-1)) - μμᵀ,  Σ = mean of S/V - μμᵀ,  μ = mean of s/V

are the cross- and auto-covariance of the pair law (same marginals: hence |λ| ≤ 1).
Units of different V are kept in different buckets, so that all sums stay integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from stepwell.engines.quantise import LEVELS
from stepwell.kit.schema import Schema, Table, entries, whole

EXACT = 2**24
"""Integers up to here are exact in float32."""
F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Law:
    """Centred moments of a pair law.

    Attributes
    ----------
    mu, gamma, sigma : (d,), (d, d), (d, d) float64
    units : int
    squared : bool
        Whether ``gamma`` has the squares of the eigenvalues meant.
    """

    mu: F64
    gamma: F64
    sigma: F64
    units: int
    squared: bool = False


def units_of(
    unit: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows that belong together, of units with two rows or more.

    Returns
    -------
    order : (m,)
        Rows sorted by unit, the order within a unit kept.
    start, count : (u,)
        Where each unit's rows begin in ``order``, and how many there are.
    """
    order = np.argsort(unit, kind="stable")
    _, start, count = np.unique(unit[order], return_index=True, return_counts=True)
    return order, start[count > 1], count[count > 1]


class DenseMoments:
    """Integer sums of paired int8 codes; ``+`` and ``-`` are their only algebra.

    Parameters
    ----------
    width : int
        Dimensions d of the codes.
    """

    name: ClassVar[str] = "moments"
    likeness: ClassVar[bool] = True
    """Whether rows of a unit are to be alike: choices can be judged by that."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._sums: dict[int, dict[str, Any]] = {}
        self._waiting: dict[int, list[Any]] = {}

    @property
    def takes(self) -> int:
        """Features of a row."""
        return self.width

    def empty(self) -> Self:
        """The same, with nothing in it."""
        return type(self)(self.width)

    def add(self, codes: Any, unit: NDArray[np.intp]) -> None:
        """Add the units whose rows are ``codes``.

        Parameters
        ----------
        codes : (m, d) int8
        unit : (m,) int
            Which unit each row belongs to. Units of one row hold no pair and add nothing.
        """
        order, first, counts = units_of(unit)
        for views in np.unique(counts):
            starts = first[counts == views]
            rows = order[starts[:, None] + np.arange(views)]
            # Units wait until there are as many as one exact product can hold: adding a
            # product to the sums takes longer than the product of a few.
            self._waiting.setdefault(int(views), []).append(codes[rows.ravel(), :])
            if sum(map(len, self._waiting[int(views)])) >= views * block_of(int(views)):
                self._flush(int(views))

    def _flush(self, views: int) -> None:
        """Add the waiting units of so many views to their sums."""
        parts = self._waiting.pop(views, [])
        if not parts:
            return
        xp = array_namespace(parts[0])
        rows = xp.concat(parts, axis=0)
        if views not in self._sums:
            self._sums[views] = self.zeros(xp, rows)
        sums, block = self._sums[views], views * block_of(views)
        for start in range(0, len(rows), block):
            each = xp.astype(rows[start : start + block, :], xp.float32)
            total = xp.sum(xp.reshape(each, (-1, views, self.width)), axis=1)
            sums["units"] += len(total)
            sums["sum"] += xp.astype(xp.sum(total, axis=0), xp.int64)
            accumulate_into(sums["outer"], total, total)
            accumulate_into(sums["square"], each, each)

    @property
    def buckets(self) -> dict[int, dict[str, Any]]:
        """Sums by the number of views of a unit."""
        for views in list(self._waiting):
            self._flush(views)
        return self._sums

    def zeros(self, xp: Any, like: Any) -> dict[str, Any]:
        """Sums of nothing, beside an array."""
        d = self.width
        device = {} if is_numpy_array(like) else {"device": like.device}
        return {
            "units": 0,
            "sum": xp.zeros(d, dtype=xp.int64, **device),
            "outer": xp.zeros((d, d), dtype=xp.int64, **device),
            "square": xp.zeros((d, d), dtype=xp.int64, **device),
        }

    @property
    def units(self) -> int:
        """Units added so far."""
        return sum(sums["units"] for sums in self.buckets.values())

    def law(self) -> Law:
        """Centred moments; every unit counts the same."""
        d, units = self.width, max(self.units, 1)
        mu, gamma, sigma = np.zeros(d), np.zeros((d, d)), np.zeros((d, d))
        for views, sums in sorted(self.buckets.items()):
            mu += np.asarray(sums["sum"], np.float64) / (units * views)
            # In place, a matrix at a time: they are the largest things there are.
            sigma += np.asarray(sums["square"]) / np.float64(units * views)
            both = np.asarray(sums["outer"]) - np.asarray(sums["square"])
            gamma += both / np.float64(units * views * (views - 1))
        for row in range(d):
            gamma[row] -= mu[row] * mu
            sigma[row] -= mu[row] * mu
        return Law(mu, gamma, sigma, units)

    def __add__(self, other: Self) -> Self:
        return self._combined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._combined(other, -1)

    def _combined(self, other: Self, sign: int) -> Self:
        if other.width != self.width:
            raise ValueError(f"expected moments of width {self.width}, found {other.width}")
        result = self.empty()
        for views in sorted({*self.buckets, *other.buckets}):
            mine, theirs = self.buckets.get(views), other.buckets.get(views)
            if mine is None or theirs is None:
                only = mine or theirs or {}
                factor = 1 if theirs is None else sign
                result._sums[views] = {name: factor * value for name, value in only.items()}
            else:
                result._sums[views] = {k: mine[k] + sign * theirs[k] for k in mine}
        return result

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays; upper triangles only, since the sums are symmetric."""
        upper = np.triu_indices(self.width)
        units, arrays = {}, {}
        for views, sums in sorted(self.buckets.items()):
            units[str(views)] = int(sums["units"])
            arrays[f"sum.{views}"] = np.asarray(sums["sum"])
            for name in ("outer", "square"):
                arrays[f"{name}.{views}"] = np.asarray(sums[name])[upper]
        return {"width": self.width, "units": units}, arrays

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        entries({"width": whole(1, 100_000), "units": entries({})})(dict(settings))
        width, units = settings["width"], settings["units"]
        arrays = {}
        for views, count in units.items():
            if not views.isdecimal() or str(int(views)) != views:
                raise ValueError(f"units of {views[:80]!r} rows")
            whole(2, 10_000)(int(views))
            whole(0, 2**60)(count)
            arrays[f"sum.{views}"] = Table("i", (width,))
            arrays |= {f"{n}.{views}": Table("i", ("upper",)) for n in ("outer", "square")}
        return Schema({}, arrays, {"upper": width * (width + 1) // 2})

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        moments = cls(int(settings["width"]))
        upper = np.triu_indices(moments.width if settings["units"] else 0)
        for views, units in settings["units"].items():
            sums: dict[str, Any] = {"units": int(units), "sum": np.array(arrays[f"sum.{views}"])}
            for name in ("outer", "square"):
                full = np.zeros((moments.width, moments.width), np.int64)
                full[upper] = arrays[f"{name}.{views}"]
                sums[name] = full + np.triu(full, 1).T
            moments._sums[int(views)] = sums
        return moments


def block_of(views: int) -> int:
    """Units whose sums of rows have an exact product: integers up to ``EXACT``."""
    return max(1, EXACT // (LEVELS * views) ** 2)


def accumulate_into(total: Any, rows: Any, others: Any) -> None:
    """``total += rowsᵀ others``, exactly: the product holds integers below 2²⁴."""
    product = rows.T @ others
    if isinstance(total, np.ndarray):
        np.add(total, product, out=total, casting="unsafe")
    else:
        total += product.to(total.dtype)
