"""How unlike all that was learned from an example is.

Two things are asked of it: how far the k-th nearest known example is in the embedding (Y. Sun et
al., ICML 2022), and how much of its features lies within and without the directions in which known
ones vary most. The stranger answer counts, as a conformal p-value: of examples like those learned
from, about a share p is told to be as strange as p or stranger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.evaluate.neighbours import unit
from stepwell.kit.sampling import evenly
from stepwell.kit.schema import Schema, Table

F64 = NDArray[np.float64]
NEAREST = 5
ASKED = 2000
KNOWN = 10_000
SAMPLE = 4000
"""Known examples that are looked at, evenly spaced: half of them to find directions, half to say
what is usual. Of those that directions were found from, less lies without."""
DIRECTIONS = 64
FEWEST = 100
"""Examples to say what is usual, at least."""
BLOCK = 512
"""Examples whose distances to all known ones are held at a time."""
RARE = 0.98
"""Share of known examples that answers are compared with: both are 1 there."""
SHIFTED = 0.2
"""Between the distribution of p-values and the even one: the least that counts as a shift."""


def _enough(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Of fewer than two nothing varies."""
    if len(arrays["rows"]) < 2:
        raise ValueError(f"{len(arrays['rows'])} known examples")


class Usual:
    """How much of known examples lies within and without the directions in which they vary most.

    Attributes
    ----------
    mean, directions : (d,), (d, DIRECTIONS) float32
        Of codes.
    rows : (m,) int
        The known examples that say what is usual.
    parts : (m, 2)
        Of theirs, the logarithms of squared lengths within and without, in levels.
    """

    name: ClassVar[str] = "usual"

    def __init__(self, mean: Any, directions: Any, rows: NDArray, parts: F64) -> None:
        self.mean, self.directions, self.rows, self.parts = mean, directions, rows, parts
        self._centre = parts.mean(0)
        self._inverse = np.linalg.pinv(np.cov(parts.T))

    @classmethod
    def of(cls, codes: NDArray, rows: NDArray[np.intp]) -> Self | None:
        """From (n, d) codes of known examples, which are those ``rows``; None where there are too
        few."""
        from sklearn.decomposition import PCA

        if len(codes) < 2 * FEWEST:
            return None
        one, other = np.asarray(codes[::2], np.float32), np.asarray(codes[1::2], np.float32)
        width = min(DIRECTIONS, one.shape[1])
        found = PCA(width, svd_solver="randomized", random_state=0).fit(one)
        mean, directions = found.mean_, found.components_.T
        return cls(mean, directions, rows[1::2], _parts(other, mean, directions))

    def __call__(self, codes: NDArray) -> F64:
        """(n,) distance from what is usual, in units of its deviation (Mahalanobis)."""
        return self._distance(_parts(np.asarray(codes, np.float32), self.mean, self.directions))

    @property
    def takes(self) -> int:
        """Features of a code."""
        return len(self.mean)

    def known(self) -> F64:
        """(m,) the same of the known examples."""
        return self._distance(self.parts)

    def _distance(self, parts: F64) -> F64:
        away = parts - self._centre
        return np.asarray(np.sqrt(np.maximum(((away @ self._inverse) * away).sum(1), 0)))

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Nothing to set, and arrays."""
        arrays = {"mean": self.mean, "directions": self.directions}
        return {}, arrays | {"rows": self.rows, "parts": self.parts}

    schema: ClassVar[Schema] = Schema(
        arrays={
            "mean": Table("f", ("d",), -1e15, 1e15),
            "directions": Table("f", ("d", "k"), -1e15, 1e15),
            "rows": Table("iu", ("n",), 0, 2**62),
            "parts": Table("f", ("n", 2), -1e15, 1e15),
        },
        also=_enough,
    )

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        return cls(*(np.asarray(arrays[name]) for name in ("mean", "directions", "rows", "parts")))


def _parts(codes: NDArray, mean: NDArray, directions: NDArray) -> F64:
    centred = codes - mean
    within = np.square(centred @ directions).sum(1, dtype=np.float64)
    whole = np.square(centred).sum(1, dtype=np.float64)
    return np.log1p(np.stack([within, np.maximum(whole - within, 0)], 1))


def sampled(count: int) -> NDArray[np.intp]:
    """The rows among so many that :class:`Usual` is made of, evenly spaced."""
    return np.asarray(evenly(np.arange(count), SAMPLE))


class Typical:
    """What is usual among known examples.

    Parameters
    ----------
    known : (n, k)
        Embeddings of examples that were learned from; those that are 0 do not count.
    usual : Usual, optional
        Of their features; without, only distances in the embedding count.
    """

    def __init__(self, known: NDArray, usual: Usual | None = None, seed: int = 0) -> None:
        known, rng = np.asarray(known), np.random.default_rng(seed)
        some = np.any(known, axis=1)
        asked = np.arange(len(known)) if usual is None else usual.rows
        judges = rng.permutation(np.flatnonzero(some[asked]))[:ASKED]
        bank = np.union1d(rng.permutation(np.flatnonzero(some))[:KNOWN], asked[judges])
        self._known, self._usual = unit(known[bank]), usual
        self._k = min(NEAREST, len(bank) - 1)
        own = self._far(known[asked[judges]], self._k + 1)  # the first is the example itself
        answers = [own] if usual is None else [own, usual.known()[judges]]
        self._scales = [(np.median(each), np.quantile(each, RARE)) for each in answers]
        self._known_scores = np.sort(self._strangest(answers))

    def _far(self, rows: NDArray, k: int) -> F64:
        """Distance to the k-th nearest."""
        found, rows = np.empty(len(rows)), unit(rows)
        for start in range(0, len(rows), BLOCK):
            cosine = rows[start : start + BLOCK] @ self._known.T
            found[start : start + BLOCK] = np.partition(cosine, -k, axis=1)[:, -k]
        return 1 - found

    def _strangest(self, answers: Sequence[F64]) -> F64:
        """(n,) the stranger of its answers: 0 is the usual one, 1 one that few known ones have."""
        scaled = [
            (each - usual) / max(rare - usual, 1e-12)
            for each, (usual, rare) in zip(answers, self._scales, strict=True)
        ]
        return np.asarray(np.max(scaled, axis=0))

    def __call__(self, rows: NDArray, codes: NDArray | None = None) -> F64:
        """(n,) share of known examples that are as strange as each or stranger, above 0 to 1.

        Parameters
        ----------
        rows : (n, k)
            Embeddings.
        codes : (n, d), optional
            Features as :class:`Usual` has them, where it is there.
        """
        answers = [self._far(rows, self._k)]
        if self._usual is not None:
            answers.append(self._usual(np.asarray(codes)))
        count = len(self._known_scores)
        stranger = count - np.searchsorted(self._known_scores, self._strangest(answers), "left")
        return np.asarray((1 + stranger) / (1 + count))


def shift(typical: Sequence[float]) -> float:
    """How far p-values of several examples lie below what those of known ones would be: the largest
    difference of their distributions (Kolmogorov and Smirnov), 0 where chance may make it, or where
    it is too small to matter."""
    from scipy.stats import kstest

    if not len(typical):
        return 0.0
    found = kstest(np.asarray(typical, float), "uniform", alternative="greater")
    large = found.statistic >= SHIFTED and found.pvalue < 1e-4
    return float(found.statistic) if large else 0.0
