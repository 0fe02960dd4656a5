"""Whitening and the dictionary of patches, split by mirror symmetry.

Natural images look the same in a mirror, so the patch covariance is averaged with its
mirror image: every direction is then even or odd, an atom d = (dₑ, dₒ) has the mirror
image (dₑ, -dₒ), and one product each with the even and the odd part serves both.

Source: Coates & Ng, *Learning Feature Representations with K-means* (2012), with the
mirror added here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from stepwell.encoders.patches.geometry import F32, mirror_basis

CONTRAST_NOISE = 10.0
"""Added to the variance of a patch (grey levels²): flat patches stay small."""
WHITEN_NOISE = 0.3
"""Added to the whitening's eigenvalues, in units of their mean."""
FINE = 63
"""A patch of unit length is rounded to this many steps, an atom to twice as many and one:
their cosine is off by .005 (one standard deviation), and integer products are exact and
four times as fast."""
FINE_ATOMS = 127


def rounded(z: Any) -> Any:
    """Rows of unit length → whole numbers up to ``FINE``, as floats (array API)."""
    xp = array_namespace(z)
    return xp.floor(z * FINE + 0.5)


def rounded_atoms(atoms: F32) -> NDArray[np.int8]:
    """Atoms of unit length → whole numbers up to ``FINE_ATOMS``."""
    return np.rint(atoms * FINE_ATOMS).astype(np.int8)


def bar_of(cosine: float) -> int:
    """A threshold in the units of products of rounded patches and atoms."""
    return round(cosine * FINE * FINE_ATOMS)


def normalise(patches: F32) -> F32:
    """Remove each patch's mean and scale it by its contrast. (…, p) → (…, p)."""
    patches = patches - patches.mean(-1, keepdims=True)
    return patches / np.sqrt(np.square(patches).mean(-1, keepdims=True) + CONTRAST_NOISE)


def whitening(patches: F32, side: int, channels: int) -> tuple[F32, F32]:
    """Mean (p,) and map (p, p) of mirror-symmetric whitening; even columns come first.

    Parameters
    ----------
    patches : (m, p)
        Normalised patches, p = side·side·channels.
    """
    even, odd = mirror_basis(side, channels)
    mean = patches.mean(0, dtype=np.float64)
    mean = even @ (even.T @ mean)
    centred = patches - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(patches)
    columns, spectra = [], []
    for basis in (even, odd):
        values, vectors = np.linalg.eigh(basis.T @ covariance @ basis)
        columns.append(basis @ vectors[:, ::-1])
        spectra.append(np.maximum(values[::-1], 0))
    level = WHITEN_NOISE * np.concatenate(spectra).mean() + 1e-12
    scaled = [c / np.sqrt(s + level) for c, s in zip(columns, spectra, strict=True)]
    return mean.astype(np.float32), np.concatenate(scaled, axis=1).astype(np.float32)


def unit(rows: F32) -> F32:
    """Rows to unit length; zero rows stay zero."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def spherical_kmeans(z: F32, atoms: int, rng: np.random.Generator, rounds: int = 5) -> F32:
    """(atoms, 2h) unit centres; a patch may go to an atom or to its mirror image.

    Parameters
    ----------
    z : (m, 2h) float32
        Whitened patches of unit length, even half first.
    """
    half = z.shape[1] // 2
    start = rng.choice(len(z), size=atoms, replace=len(z) < atoms)
    centres = z[start].copy()
    for _ in range(rounds):
        centres = unit(_kmeans_round(z, centres, half, rng))
    return centres


def _kmeans_round(z: F32, centres: F32, half: int, rng: np.random.Generator) -> F32:
    """Sum of the patches nearest to each centre, mirrored where that is nearer."""
    sums = np.zeros_like(centres)
    counts = np.zeros(len(centres), np.intp)
    for start in range(0, len(z), 4096):
        rows = z[start : start + 4096]
        odd = rows[:, half:] @ centres[:, half:].T
        best = rows[:, :half] @ centres[:, :half].T
        best += np.abs(odd)
        nearest = best.argmax(1)
        sign = np.sign(odd[np.arange(len(rows)), nearest])[:, None]
        turned = np.concatenate([rows[:, :half], rows[:, half:] * sign], axis=1)
        _add_rows(sums, nearest, turned)
        counts += np.bincount(nearest, minlength=len(centres))
    empty = np.flatnonzero(counts == 0)
    sums[empty] = z[rng.choice(len(z), size=len(empty))]
    return sums


def _add_rows(sums: F32, nearest: NDArray[np.intp], rows: F32) -> None:
    """``sums[nearest] += rows``, by sorting: much faster than ``np.add.at``."""
    order = np.argsort(nearest, kind="stable")
    ranked = nearest[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    sums[ranked[first]] += np.add.reduceat(rows[order], first, axis=0)
