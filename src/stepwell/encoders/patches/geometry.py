"""Images to patches: resizing, channels, and the mirror that splits everything in two."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@lru_cache(maxsize=64)
def area_weights(old: int, new: int) -> F32:
    """(new, old) matrix of a 1-D resize.

    Shrinking averages the area each new pixel covers; growing interpolates linearly.
    """
    weights = np.zeros((new, old))
    if new < old:
        edges = np.linspace(0, old, new + 1)
        for i in range(new):
            low, high = edges[i], edges[i + 1]
            cells = np.arange(int(low), min(old, int(np.ceil(high))))
            weights[i, cells] = np.minimum(cells + 1, high) - np.maximum(cells, low)
    else:
        centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(centre).astype(int)
        rest = centre - low
        np.add.at(weights, (np.arange(new), low), 1 - rest)
        np.add.at(weights, (np.arange(new), np.minimum(low + 1, old - 1)), rest)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def resize(images: NDArray, side: int) -> F32:
    """(n, h, w, c) images of any dtype → (n, side, side, c) float32, squeezed to a square.

    Image by image, so that a pixel never depends on what else is in the batch.
    """
    n, height, width, channels = images.shape
    if height == width == side:
        return np.ascontiguousarray(images, dtype=np.float32)
    rows, columns = area_weights(height, side), area_weights(width, side)
    out = np.empty((n, side, side, channels), np.float32)
    for i in range(n):
        tall = rows @ images[i].reshape(height, -1).astype(np.float32)
        wide = tall.reshape(side, width, channels).transpose(1, 0, 2).reshape(width, -1)
        out[i] = (columns @ wide).reshape(side, side, channels).transpose(1, 0, 2)
    return out


def grey(images: F32) -> F32:
    """(…, c) → (…, 1): luma weights for three channels, the mean for any other number."""
    if images.shape[-1] == 1:
        return images
    weights = (0.299, 0.587, 0.114) if images.shape[-1] == 3 else None
    if weights is None:
        return np.asarray(images.mean(-1, keepdims=True, dtype=np.float32))
    return images @ np.array(weights, np.float32)[:, None]


def grid_side(side: int, patch: int, stride: int) -> int:
    """Patches along one side of an image."""
    return (side - patch) // stride + 1


def cut(images: F32, patch: int, stride: int) -> F32:
    """(n, s, s, c) → (n, grid², patch·patch·c) patches, rows first; a copy."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (patch, patch), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    n, rows, columns = windows.shape[:3]
    return windows.reshape(n, rows * columns, -1)


@lru_cache(maxsize=16)
def mirror_basis(patch: int, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Orthonormal bases (p, p/2) of the patches that are even and odd under a flip."""
    half = patch // 2
    fold = np.zeros((patch, half))
    fold[np.arange(half), np.arange(half)] = fold[patch - 1 - np.arange(half), np.arange(half)] = 1
    turn = fold.copy()
    turn[half:] *= -1
    whole = [np.kron(np.eye(patch), np.kron(m, np.eye(channels))) for m in (fold, turn)]
    return whole[0] / np.sqrt(2), whole[1] / np.sqrt(2)


def pooling(grid: int, bins: int) -> F32:
    """(bins, grid): the share of each position in each bin; rows sum to 1, mirror-symmetric."""
    return area_weights(grid, bins)


def fold_grid(pooled: Any, even: int) -> tuple[Any, Any]:
    """Rotate pooled modes into what a flip keeps and what it reverses.

    Parameters
    ----------
    pooled : (n, bins, bins, modes)
        The first ``even`` modes are even under a flip, the others odd.

    Returns
    -------
    kept, reversed : (n, bins·bins·modes/2) each
        A flip of the image leaves the first as it is and changes the sign of the second.
    """
    xp = array_namespace(pooled)
    n, _, bins, _ = pooled.shape
    left, right = pooled[:, :, : bins // 2, :], xp.flip(pooled, axis=2)[:, :, : bins // 2, :]
    plus, minus = (left + right) * 0.5**0.5, (left - right) * 0.5**0.5
    kept = xp.concat([plus[..., :even], minus[..., even:]], axis=-1)
    lost = xp.concat([minus[..., :even], plus[..., even:]], axis=-1)
    return xp.reshape(kept, (n, -1)), xp.reshape(lost, (n, -1))
