"""One stream: an image at one scale, in colour or grey, to pooled co-occurrence modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from stepwell.encoders.patches.dictionary import CONTRAST_NOISE, bar_of, rounded
from stepwell.encoders.patches.geometry import F32, cut, grey, grid_side, pooling, resize

PATCH = 6
BINS = 4
STRIDES = ((24, 1), (48, 2), (96, 3), (2**30, 6))
"""Pixels between patches, for images up to a side. Half the stride at 64 and 128 pixels took
twice the time for half a point on photographs: a dense encoder takes them."""


def stride_of(side: int) -> int:
    """Pixels between patches of images of so many a side."""
    return next(step for most, step in STRIDES if side <= most)


def densest(side: int) -> int:
    """The same for patches twice as dense, which no stream exceeds."""
    return -(-stride_of(side) // 2)


@dataclass(frozen=True)
class StreamSpec:
    """What one stream looks at.

    Attributes
    ----------
    side : int
        Pixels a side after resizing.
    colour : bool
        All channels, or their luma.
    stride : int
        Pixels between neighbouring patches.
    threshold : float
        Cosine above which an atom answers.
    """

    side: int
    colour: bool
    stride: int
    threshold: float

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return grid_side(self.side, PATCH, self.stride)

    def view(self, images: NDArray) -> F32:
        """(n, h, w, c) images as this stream sees them, (n, side, side, c or 1) float32."""
        flat = images if self.colour else grey(np.asarray(images, np.float32))
        return resize(flat, self.side)

    def patches(self, images: NDArray) -> F32:
        """(n, grid², p) raw patches."""
        return cut(self.view(images), PATCH, self.stride)


@dataclass(frozen=True, eq=False)
class Stream:
    """A fitted stream.

    Attributes
    ----------
    mean, whiten : (p,), (p, 2h)
        See :func:`~stepwell.encoders.patches.dictionary.whitening`; even columns first.
    atoms : (a, 2h) int8
        Rounded atoms; each stands for itself and its mirror image.
    rows : (a, m)
        Modes of the code; the first ``even`` columns act on the sum of an atom's and its
        mirror image's answer, the others on their difference.
    offset : (m,)
        The modes of the mean code.
    """

    spec: StreamSpec
    mean: Any
    whiten: Any
    atoms: Any
    rows: Any
    offset: Any
    even: int

    def modes(self, patches: Any) -> Any:
        """(…, p) raw patches → (…, m) modes of unit length: the plain path.

        Written against the array API: numpy arrays in, numpy out; torch in, torch out.
        """
        xp = array_namespace(patches)
        half = self.atoms.shape[1] // 2
        z = whitened(patches, self.mean, self.whiten)
        norm = xp.sqrt(xp.sum(z * z, axis=-1, keepdims=True))
        z = rounded(z / xp.where(norm > 0, norm, xp.ones_like(norm)))
        plus, minus = answers(z, self.atoms, half, bar_of(self.spec.threshold))
        code = xp.concat(
            [plus @ self.rows[:, : self.even], minus @ self.rows[:, self.even :]], axis=-1
        )
        code = code - self.offset
        return code / xp.sqrt(xp.sum(code * code, axis=-1, keepdims=True) + 1e-12)

    def pooled(self, patches: Any) -> Any:
        """(n, grid², p) patches → (n, bins, bins, m) averages of the modes."""
        xp = array_namespace(patches)
        weights = pooling(self.spec.grid, BINS)
        both = xp.asarray(np.kron(weights, weights))
        pooled = xp.matmul(both, self.modes(patches))
        return xp.reshape(pooled, (patches.shape[0], BINS, BINS, pooled.shape[-1]))


def whitened(patches: Any, mean: Any, whiten: Any) -> Any:
    """Raw patches → whitened patches, not yet of unit length (array API)."""
    xp = array_namespace(patches)
    patches = patches - xp.mean(patches, axis=-1, keepdims=True)
    scale = xp.sqrt(xp.mean(patches * patches, axis=-1, keepdims=True) + CONTRAST_NOISE)
    return (patches / scale - mean) @ whiten


def answers(z: Any, atoms: Any, half: int, bar: int) -> tuple[Any, Any]:
    """Sum and difference of an atom's and its mirror image's answer above ``bar``.

    relu(z·d - bar) ± relu(z·d' - bar), exact: all are whole numbers below 2²⁴.
    """
    xp = array_namespace(z)
    turned = xp.astype(xp.permute_dims(atoms, (1, 0)), z.dtype)
    even, odd = z[..., :half] @ turned[:half, :], z[..., half:] @ turned[half:, :]
    first, second = even + odd - bar, even - odd - bar
    zero = xp.zeros((), dtype=z.dtype)
    first, second = xp.maximum(first, zero), xp.maximum(second, zero)
    return first + second, first - second
