"""Fit a stream on founders: whitening, dictionary, then modes of co-occurring patches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.patches.dictionary import (
    bar_of,
    normalise,
    rounded,
    rounded_atoms,
    spherical_kmeans,
    unit,
    whitening,
)
from stepwell.encoders.patches.fused import answering
from stepwell.encoders.patches.geometry import F32
from stepwell.encoders.patches.stream import PATCH, Stream, StreamSpec
from stepwell.kit.linalg import fix_signs, ridge_of, symmetric_top, top_modes
from stepwell.kit.threads import blocks

LANES = 16
"""Even and odd modes come in multiples of this, two of the kernel's vectors."""


@dataclass(frozen=True)
class Size:
    """How large a stream's dictionary is, and on how much it is fitted.

    Attributes
    ----------
    atoms, modes : int
        Atom pairs (no more than founders, since image means have no higher rank), and
        modes kept of their co-occurrence.
    sample : int
        Patches for whitening and dictionary.
    variance_rows : int
        Patches for the covariance of the code.
    positions : int
        Patches of an image that enter its mean, drawn anew for each image.
    dense : bool
        Half as many pixels between patches.
    ridge : float
        Of the patch-level eigenproblem, relative to the mean variance.
    """

    atoms: int = 2048
    modes: int = 128
    sample: int = 24_000
    variance_rows: int = 16_000
    positions: int = 144
    dense: bool = False
    ridge: float = 0.01


def fit_stream(
    spec: StreamSpec,
    images: NDArray,
    size: Size,
    seed: int,
    pairs: str = "image",
    threads: int | None = None,
) -> Stream:
    """Fit one stream on (n, h, w, c) founders.

    ``pairs`` says what the modes are learned from: patches of one image ("image"), patches
    of different ones ("shuffled"), or no pairs ("none": principal components, whitened).
    """
    rng = np.random.default_rng(seed)
    channels = images.shape[-1] if spec.colour else 1
    picked = normalise(_sample_patches(spec, images, size.sample, rng))
    mean, whiten = whitening(picked, PATCH, channels)
    z = unit(np.asarray((picked - mean) @ whiten, np.float32))
    count = min(size.atoms, max(LANES * 2, len(images) // (LANES * 2) * LANES * 2))
    size = replace(size, modes=min(size.modes, count))
    atoms = rounded_atoms(spherical_kmeans(z, count, rng))
    sums = _code_sums(spec, images, size, (mean, whiten, atoms), seed, pairs, threads)
    rows, offset, even = _pair_modes(sums, size, pairs)
    return Stream(spec, mean, whiten, atoms, rows, offset, even)


def _sample_patches(spec: StreamSpec, images: NDArray, count: int, rng: np.random.Generator) -> F32:
    """About ``count`` patches, the same number from each image."""
    each = max(1, -(-count // len(images)))
    picked = []
    for start in range(0, len(images), 32):
        patches = spec.patches(images[start : start + 32])
        where = rng.integers(patches.shape[1], size=(len(patches), min(each, patches.shape[1])))
        picked.append(np.take_along_axis(patches, where[..., None], axis=1))
    found = np.concatenate(picked).reshape(-1, picked[0].shape[-1])
    if len(found) <= count:
        return found
    # The surplus goes at random: at the end of a sorted source it would be one class.
    return np.asarray(found[np.sort(rng.permutation(len(found))[:count])])


def _pair_modes(sums: tuple[_Sums, _Sums], size: Size, pairs: str) -> tuple[F32, F32, int]:
    """Top modes of patches of one image against each other, even and odd problem apart."""
    laws = [each.law() for each in sums]
    solve = _components if pairs == "none" else top_modes
    (plus, upright), (minus, turned) = (
        solve(gamma, sigma, size.ridge, size.modes) for gamma, sigma, _ in laws
    )
    even = _split(plus, minus, size.modes)
    rows = np.concatenate([upright[:, :even], turned[:, : size.modes - even]], axis=1)
    rows = np.ascontiguousarray(rows, np.float32)  # as it is read back: the same bits
    offset = np.zeros(rows.shape[1], np.float32)
    offset[:even] = laws[0][2].astype(np.float32) @ rows[:, :even]
    return rows, offset, even


def _components(_: NDArray, sigma: NDArray, ridge: float, k: int) -> tuple[NDArray, NDArray]:
    """Principal components, whitened with the same ridge: what no pair has shaped."""
    values, vectors = symmetric_top(sigma, k)
    return values, fix_signs(vectors / np.sqrt(np.maximum(values, 0) + ridge_of(sigma, ridge)))


def _split(even: NDArray, odd: NDArray, modes: int) -> int:
    """How many of the leading modes are even, rounded to whole vectors."""
    merged = np.sort(np.concatenate([even[:modes], odd[:modes]]))[::-1]
    wanted = int((even[:modes] >= merged[modes - 1]).sum())
    nearest = LANES * round(wanted / LANES)
    return int(np.clip(nearest, min(LANES, modes), max(modes - LANES, min(LANES, modes))))


class _Sums:
    """Σ over sampled codes of one parity, and the image means that Γ is made of."""

    _ROWS = 4096  # codes wait until there are so many: one large product is far faster

    def __init__(self, count: int, centred: bool) -> None:
        self._square, self._total = np.zeros((count, count), np.float32), np.zeros(count)
        self._centred, self._seen = centred, 0
        self._waiting: list[F32] = []
        self._means: list[F32] = []

    def add(self, means: F32, codes: F32) -> None:
        """Mean codes (n, count) of n images for Γ; some codes (m, count) of theirs for Σ."""
        self._means.append(means)
        self._waiting.append(codes.copy())
        if sum(map(len, self._waiting)) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            rows = np.concatenate(self._waiting)
            self._square += rows.T @ rows
            self._total += rows.sum(0, dtype=np.float64)
            self._seen += len(rows)
            self._waiting = []

    def law(self) -> tuple[NDArray, NDArray, F32]:
        """Γ, Σ and the mean code. The odd code has mean zero by symmetry."""
        self._flush()
        means = np.concatenate(self._means)
        middle = means.mean(0) * self._centred
        spread = means - middle
        gamma = (spread.T @ spread).astype(np.float64) / len(means)
        # Centred with the mean of the same sample, or it need not be positive definite.
        shift = self._total / self._seen * self._centred
        sigma = self._square.astype(np.float64) / self._seen - np.outer(shift, shift)
        return gamma, sigma, middle


def _code_sums(
    spec: StreamSpec,
    images: NDArray,
    size: Size,
    front: tuple,
    seed: int,
    pairs: str,
    threads: int | None,
) -> tuple[_Sums, _Sums]:
    """Sums of the even and of the odd code over all founders.

    Γ is the covariance of image means (all patches of an image are partners); Σ is that
    of single patches, from a sample of them.
    """
    mean, whiten, atoms = front
    taken = min(spec.grid**2, size.positions)
    keep = min(taken, max(2, round(size.variance_rows / len(images))))
    answer = answering(atoms)
    mixed = pairs == "shuffled"
    if mixed:  # in random order, or patches of one folder would mix, and that is often a class
        images = images[np.random.default_rng(seed).permutation(len(images))]

    def block(rows: slice) -> list[tuple[F32, F32]]:
        patches = _some(spec.patches(images[rows]), taken, (seed, rows.start))
        z = rounded(unit((normalise(patches) - mean) @ whiten))
        z = z.reshape(-1, z.shape[-1])
        if mixed:
            z = np.random.default_rng((seed, rows.start)).permutation(z)
        codes = answer(z, bar_of(spec.threshold))
        shaped = [code.reshape(-1, taken, len(atoms)) for code in codes]
        return [(code.mean(1), code[:, :keep].reshape(-1, len(atoms))) for code in shaped]

    even, odd = _Sums(len(atoms), True), _Sums(len(atoms), False)
    for pair in blocks(block, len(images), 64 if mixed else 8, threads):
        for sums, (means, kept) in zip((even, odd), pair, strict=True):
            sums.add(means, kept)
    return even, odd


def _some(patches: F32, count: int, seed: tuple[int, int]) -> F32:
    """``count`` patches of each image in random order; all, shuffled, if there are no more."""
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(patches.shape[1]), (len(patches), 1)), axis=1)
    return np.take_along_axis(patches, order[:, :count, None], axis=1)
