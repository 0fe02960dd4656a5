"""Fit a stream on founders: whitening, dictionary, then modes of co-occurring patches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.patches.dictionary import normalise, spherical_kmeans, unit, whitening
from stepwell.encoders.patches.geometry import F32
from stepwell.encoders.patches.stream import PATCH, Stream, StreamSpec, answers
from stepwell.kit.linalg import top_modes

LANES = 16
"""Even and odd modes come in multiples of this, the width of the kernel's vectors."""


@dataclass(frozen=True)
class Size:
    """How large a stream's dictionary is, and on how much it is fitted."""

    atoms: int = 2048
    modes: int = 128
    sample: int = 40_000
    variance_rows: int = 60_000
    ridge: float = 0.01


def fit_stream(spec: StreamSpec, images: NDArray, size: Size, seed: int) -> Stream:
    """Fit one stream on (n, h, w, c) founders."""
    rng = np.random.default_rng(seed)
    channels = images.shape[-1] if spec.colour else 1
    picked = normalise(_sample_patches(spec, images, size.sample, rng))
    mean, whiten = whitening(picked, PATCH, channels)
    z = unit((picked - mean) @ whiten)
    atoms = spherical_kmeans(z, size.atoms, rng)
    rows, offset, even = _pair_modes(spec, images, size, (mean, whiten, atoms), rng)
    return Stream(spec, mean, whiten, atoms, rows, offset, even)


def _sample_patches(spec: StreamSpec, images: NDArray, count: int, rng: np.random.Generator) -> F32:
    """About ``count`` patches, the same number from each image."""
    each = max(1, -(-count // len(images)))
    picked = []
    for start in range(0, len(images), 256):
        patches = spec.patches(images[start : start + 256])
        where = rng.integers(patches.shape[1], size=(len(patches), min(each, patches.shape[1])))
        picked.append(np.take_along_axis(patches, where[..., None], axis=1))
    return np.concatenate(picked).reshape(-1, picked[0].shape[-1])[:count]


def _pair_modes(
    spec: StreamSpec, images: NDArray, size: Size, front: tuple, rng: np.random.Generator
) -> tuple[F32, F32, int]:
    """Top modes of patches of one image against each other, even and odd problem apart."""
    sums = _code_sums(spec, images, size, front, rng)
    solved = []
    for parity in ("plus", "minus"):
        gamma, sigma = sums[parity]
        solved.append(top_modes(gamma, sigma, size.ridge, size.modes))
    even = _split(solved[0][0], solved[1][0], size.modes)
    rows = np.concatenate([solved[0][1][:, :even], solved[1][1][:, : size.modes - even]], axis=1)
    rows = rows.astype(np.float32)
    offset = np.zeros(rows.shape[1], np.float32)
    offset[:even] = sums["mean"].astype(np.float32) @ rows[:, :even]
    return rows, offset, even


def _split(even: NDArray, odd: NDArray, modes: int) -> int:
    """How many of the leading modes are even, rounded to whole vectors."""
    merged = np.sort(np.concatenate([even[:modes], odd[:modes]]))[::-1]
    wanted = int((even[:modes] >= merged[modes - 1]).sum())
    nearest = LANES * round(wanted / LANES)
    return int(np.clip(nearest, min(LANES, modes), max(modes - LANES, min(LANES, modes))))


def _code_sums(
    spec: StreamSpec, images: NDArray, size: Size, front: tuple, rng: np.random.Generator
) -> dict:
    """Covariances of the code and of its image means.

    Γ is the covariance of image means (all patches of an image are partners); Σ is that
    of single patches, from a sample of them; the even code is centred, the odd code has
    mean zero by symmetry.
    """
    mean, whiten, atoms = front
    half, count = atoms.shape[1] // 2, len(atoms)
    keep = min(spec.grid**2, max(2, round(size.variance_rows / len(images))))
    sigma = {parity: np.zeros((count, count), np.float32) for parity in ("plus", "minus")}
    means: dict[str, list[F32]] = {"plus": [], "minus": []}
    sampled = {parity: np.zeros(count) for parity in ("plus", "minus")}
    rows = 0
    for start in range(0, len(images), 16):
        patches = normalise(spec.patches(images[start : start + 16]))
        z = unit((patches - mean) @ whiten)
        codes = dict(zip(("plus", "minus"), answers(z, atoms, half, spec.threshold), strict=True))
        chosen = rng.permuted(np.tile(np.arange(z.shape[1]), (len(z), 1)), axis=1)[:, :keep]
        for parity, code in codes.items():
            means[parity].append(code.mean(1))
            sample = np.take_along_axis(code, chosen[..., None], axis=1).reshape(-1, count)
            sigma[parity] += sample.T @ sample
            sampled[parity] += sample.sum(0, dtype=np.float64)
        rows += len(z) * keep
    result: dict = {}
    for parity in ("plus", "minus"):
        image_means = np.concatenate(means[parity])
        centred = image_means - image_means.mean(0) * (parity == "plus")
        gamma = (centred.T @ centred).astype(np.float64) / len(images)
        # Centred with the mean of the same sample, or it need not be positive definite.
        shift = sampled[parity] / rows * (parity == "plus")
        result[parity] = gamma, sigma[parity].astype(np.float64) / rows - np.outer(shift, shift)
        if parity == "plus":
            result["mean"] = image_means.mean(0)
    return result
