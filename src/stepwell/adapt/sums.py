"""Heads in closed form, from sums over labelled examples: classes and labels come and go exactly.

Linear discriminants that follow from sums are streaming LDA (T. L. Hayes & C. Kanan, CVPR-W 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError
from stepwell.kit.schema import Schema, Table, several, word

F64 = NDArray[np.float64]
STEPS = 2**12
"""Steps of a unit that features are rounded to: then sums are whole numbers, and exact."""


class LabelSums:
    """Of each class how many examples and the sum of their features; of all the sum of products.

    ``+`` and ``-`` are exact, and classes that come with one of them are there at once.

    Parameters
    ----------
    width : int
        Of features, whose entries are at most 1 in size.
    """

    name: ClassVar[str] = "label_sums"

    def __init__(self, width: int) -> None:
        self.width = width
        self.classes: tuple[str, ...] = ()
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sums = np.zeros((0, width))
        self._products = np.zeros((width, width))

    @classmethod
    def of(cls, features: NDArray, labels: Sequence[str]) -> Self:
        """Of (n, width) features of examples with these labels."""
        rows = np.rint(np.asarray(features, np.float64) * STEPS)
        names, own = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
        found = cls(rows.shape[1])
        found.classes = tuple(map(str, names))
        found.counts = np.bincount(own, minlength=len(names)).astype(np.int64)
        found._sums = np.zeros((len(names), found.width))
        np.add.at(found._sums, own, rows)
        found._products = rows.T @ rows  # whole numbers below 2^53: exact whatever the order
        return found

    def __add__(self, other: Self) -> Self:
        return self._combined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._combined(other, -1)

    def _combined(self, other: Self, sign: int) -> Self:
        found = type(self)(self.width)
        names = sorted({*self.classes, *other.classes})
        place = {name: row for row, name in enumerate(names)}
        counts, sums = np.zeros(len(names), np.int64), np.zeros((len(names), self.width))
        for side, times in ((self, 1), (other, sign)):
            rows = [place[name] for name in side.classes]
            counts[rows] += times * side.counts
            sums[rows] += times * side._sums
        kept = counts > 0
        found.classes = tuple(name for name, own in zip(names, kept, strict=True) if own)
        found.counts, found._sums = counts[kept], sums[kept]
        found._products = self._products + sign * other._products
        return found

    @property
    def takes(self) -> int:
        """Features of an example."""
        return self.width

    def means(self) -> F64:
        """(c, d) of each class."""
        return self._sums / self.counts[:, None] / STEPS

    def products(self) -> F64:
        """(d, d) sum of products of features."""
        return self._products / STEPS**2

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Classes, and sums."""
        arrays = {"counts": self.counts, "sums": self._sums, "products": self._products}
        return {"classes": list(self.classes)}, arrays

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        arrays = {
            "counts": Table("iu", ("classes",), 1, 2**53),
            "sums": Table("f", ("classes", "d"), -(2.0**53), 2.0**53),
            "products": Table("f", ("d", "d"), -(2.0**53), 2.0**53),
        }
        return Schema({"classes": several(word())}, arrays, _sizes(settings), also=_once)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        found = cls(np.shape(arrays["products"])[0])
        found.classes, found.counts = tuple(settings["classes"]), np.array(arrays["counts"])
        found._sums, found._products = np.array(arrays["sums"]), np.array(arrays["products"])
        return found


def discriminants(sums: LabelSums, shrink: float) -> tuple[F64, F64]:
    """(c, d) weights and (c,) biases of linear discriminant analysis, whose softmax are the
    probabilities; ``shrink``: share of the covariance within classes that is made round."""
    n, means = sums.counts.sum(), sums.means()
    within = sums.products() - (means.T * sums.counts) @ means
    within = _rounder(within / n, shrink)
    try:
        weight = np.linalg.solve(within, means.T).T
    except np.linalg.LinAlgError as error:
        raise StepwellError(
            f"Expected sums over labelled examples that a head follows from, found others "
            f"({error}): the run is damaged, or was changed; finetune it again."
        ) from error
    bias = np.log(sums.counts / n) - (weight * means).sum(1) / 2
    return np.asarray(weight), np.asarray(bias, np.float64)


def _rounder(matrix: F64, share: float) -> F64:
    size = max(float(np.trace(matrix)) / len(matrix), 1e-12)
    return (1 - share) * matrix + share * size * np.eye(len(matrix))


def _once(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Each class once, in order."""
    if settings["classes"] != sorted(set(settings["classes"])):
        raise ValueError("classes that come twice, or in no order")


def _sizes(settings: Mapping[str, Any]) -> dict[str, int]:
    classes = settings.get("classes")
    return {"classes": len(classes) if isinstance(classes, list) else -1}
