"""What an embedding is worth, asked of itself: scores that need no label.

Those of the first half compare examples with views of them, (n, k) each, row by row the same
examples, two at least; those of the second look at the spectrum of one embedding alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.kit.nearest import unit

F64 = NDArray[np.float64]
NEIGHBOURS = 10
_WITHIN, _TINY = 1e-4, 1e-7


def agreement(one: NDArray, other: NDArray, k: int = NEIGHBOURS) -> float:
    """Share of each example's k nearest ones by one embedding that are among those by another,
    0 to 1: of two views' (kNN overlap), or of two runs' (M. Huh et al., ICML 2024, section 2)."""
    k = min(k, len(one) - 1)
    return float((_near(one, k) & _near(other, k)).sum() / (k * len(one)))


def _near(rows: NDArray, k: int) -> NDArray[np.bool_]:
    """(n, n) which are the k nearest of each row but itself. In double precision: in single, a turn
    of the embedding would already change near ties."""
    rows = np.asarray(rows, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -np.inf)
    found = np.zeros(cosine.shape, bool)
    np.put_along_axis(found, np.argpartition(-cosine, k - 1, axis=1)[:, :k], True, axis=1)
    return found


def alignment(views: NDArray, originals: NDArray) -> float:
    """Mean squared distance of a view to its original on the unit sphere, 0 to 4; small is good
    (T. Wang & P. Isola, ICML 2020, equation 2, α = 2)."""
    return float(np.square(unit(views) - unit(originals)).sum(1).mean())


def uniformity(rows: NDArray) -> float:
    """Logarithm of the mean of e^(−2 d²) over distances d of all pairs on the unit sphere, at most
    0; small is good (Wang & Isola, equation 3, t = 2)."""
    rows = unit(rows)
    apart = ~np.eye(len(rows), dtype=bool)
    return float(np.log(np.exp(4 * ((rows @ rows.T).astype(np.float64) - 1))[apart].mean()))


def strengths(views: NDArray, originals: NDArray) -> F64:
    """(k,) correlation of views with their originals in each dimension, on examples that were not
    learned from: what of a mode's strength holds on them."""
    a, b = (np.asarray(side, np.float64) for side in (views, originals))
    a, b = a - a.mean(0), b - b.mean(0)
    scale = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    return np.asarray((a * b).sum(0) / np.maximum(scale, 1e-30))


def alike(one: NDArray, other: NDArray) -> float:
    """Linear centred kernel alignment of two embeddings of the same examples, 0 to 1, blind to
    rotation (S. Kornblith et al., ICML 2019, section 3): how stable learning is, asked of runs on
    two halves of the data. With the unbiased estimate of independence (L. Song et al., JMLR 13,
    2012, equation 5), as the plain one is near 1 where dimensions are as many as examples. At
    least four examples."""
    a, b = (_without_diagonal(side) for side in (one, other))
    scale = np.sqrt(max(_dependence(a, a) * _dependence(b, b), 1e-30))
    return float(_dependence(a, b) / scale)


def _without_diagonal(rows: NDArray) -> F64:
    """(n, n) inner products of different rows."""
    rows = np.asarray(rows, np.float64)
    rows = rows - rows.mean(0)
    gram = rows @ rows.T
    np.fill_diagonal(gram, 0)
    return np.asarray(gram)


def _dependence(a: F64, b: F64) -> float:
    """n (n - 3) times the unbiased estimate of the Hilbert-Schmidt independence criterion."""
    n = len(a)
    each, other = a.sum(0), b.sum(0)
    apart = each.sum() * other.sum() / ((n - 1) * (n - 2))
    return float((a * b).sum() + apart - 2 * (each @ other) / (n - 2))


def rankme(rows: NDArray) -> float:
    """Exponential of the entropy of singular values, 1 to k (Q. Garrido et al., ICML 2023,
    equation 1)."""
    return _smooth_rank(np.linalg.svd(np.asarray(rows, np.float64), compute_uv=False))


def effective_rank(rows: NDArray) -> float:
    """The same of the eigenvalues of the covariance: dimensions that vary, 1 to k (after O. Roy &
    M. Vetterli, EUSIPCO 2007)."""
    return _smooth_rank(spectrum(rows))


def lidar(seen: NDArray) -> float:
    """RankMe of what tells examples apart, relative to what tells views of one apart, 1 to k (V.
    Thilak et al., ICLR 2024, equations 1 to 3).

    Parameters
    ----------
    seen : (n, q, k)
        Embeddings of q views of n examples, q at least 2.
    """
    seen = np.asarray(seen, np.float64)
    width, centre = seen.shape[-1], seen.mean(1)
    rest = (seen - centre[:, None]).reshape(-1, width)
    within = rest.T @ rest / len(rest) + _WITHIN * np.eye(width)
    values, vectors = np.linalg.eigh(within)
    whitened = (centre - centre.mean(0)) @ (vectors / np.sqrt(values))
    return _smooth_rank(spectrum(whitened))


def alpha_req(rows: NDArray) -> float:
    """α of a spectrum that falls as 1 / i^α, fitted to its logarithm; near 1 is good (K. K. Agrawal
    et al., NeurIPS 2022)."""
    values = spectrum(rows)
    values = values[values > values[0] * 1e-12]
    if len(values) < 2:
        return float("inf")
    slope, _ = np.polyfit(np.log(np.arange(1, len(values) + 1)), np.log(values), 1)
    return float(-slope)


def nesum(rows: NDArray) -> float:
    """Eigenvalues of the covariance relative to the largest, added up, 1 to k (B. He & M. Ozay,
    ICML 2022)."""
    values = spectrum(rows)
    return float(values.sum() / max(values[0], 1e-30))


def spectrum(rows: NDArray) -> F64:
    """(k,) eigenvalues of the covariance of (n, k), the largest first."""
    rows = np.asarray(rows, np.float64)
    rows = rows - rows.mean(0)
    return np.asarray(np.maximum(np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1], 0))


def _smooth_rank(values: F64) -> float:
    share = values / max(values.sum(), 1e-30) + _TINY
    return float(np.exp(-(share * np.log(share)).sum()))
