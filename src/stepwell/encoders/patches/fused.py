"""The compiled kernel behind :meth:`Stream.pooled`, where it was built; never needed.

The C code is an optional part of the install. Where no compiler was at hand the plain
path in ``stream.py`` runs instead: the same numbers, several times slower.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.patches.dictionary import CONTRAST_NOISE
from stepwell.encoders.patches.geometry import F32, pooling
from stepwell.encoders.patches.stream import BINS, PATCH, Stream, answers

TILE, MOST = 16, 4096  # as in fused.c
_INTS = ("side", "channels", "patch", "stride", "grid", "bins", "half", "atoms", "even", "modes")
_ARRAYS = ("mean", "whiten", "dict", "rows", "offset", "pool")


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in _INTS] + [
        ("threshold", ctypes.c_float),
        ("noise", ctypes.c_float),
    ]


class _Weights(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _ARRAYS]


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernel, or None."""
    found = importlib.util.find_spec("stepwell.encoders.patches._fused")
    if found is None or not found.origin:
        return None
    try:
        return ctypes.CDLL(found.origin)
    except OSError:
        return None


class Fused:
    """A stream laid out for the kernel. ``Fused(stream)(images)`` equals the plain path."""

    def __init__(self, stream: Stream) -> None:
        atoms, whiten = _tiled(stream.atoms), _tiled(np.asarray(stream.whiten).T)
        padded = len(atoms) * TILE
        rows = np.zeros((padded, stream.rows.shape[1]), np.float32)
        rows[: len(stream.rows)] = stream.rows
        pool = pooling(stream.spec.grid, BINS)
        kept = (stream.mean, whiten, atoms, rows, stream.offset, pool)
        self._arrays = [np.ascontiguousarray(a, np.float32) for a in kept]
        self._weights = _Weights(*[a.ctypes.data for a in self._arrays])
        self._stream, self._atoms = stream, padded

    def __call__(self, images: F32) -> F32:
        """(n, side, side, c) float32 images → (n, bins, bins, m)."""
        stream, kernel = self._stream, library()
        if kernel is None:
            raise RuntimeError("the compiled kernel is not installed")
        images = np.ascontiguousarray(images, np.float32)
        n, side, _, channels = images.shape
        spec, modes = stream.spec, stream.rows.shape[1]
        numbers = (side, channels, PATCH, spec.stride, spec.grid, BINS, stream.atoms.shape[1] // 2)
        shape = _Shape(*numbers, self._atoms, stream.even, modes, spec.threshold, CONTRAST_NOISE)
        out = np.empty((n, BINS, BINS, modes), np.float32)
        pointer = ctypes.c_void_p
        done = kernel.stepwell_encode(
            ctypes.byref(shape),
            ctypes.byref(self._weights),
            pointer(images.ctypes.data),
            ctypes.c_long(n),
            pointer(out.ctypes.data),
        )
        if not done:
            raise MemoryError("the patch kernel found no memory for one image's patches")
        return out


class FusedAnswers:
    """A dictionary laid out for the kernel. ``FusedAnswers(atoms)(z, bar)`` equals
    :func:`~stepwell.encoders.patches.stream.answers` on unit rows."""

    def __init__(self, atoms: F32) -> None:
        self._tiled, self._shape = np.ascontiguousarray(_tiled(atoms)), atoms.shape

    def __call__(self, z: F32, bar: float) -> tuple[F32, F32]:
        """(n, 2h) unit rows → sums and differences of answers, (n, a) each."""
        count, width = self._shape
        padded = len(self._tiled) * TILE
        z = np.ascontiguousarray(z, np.float32)
        both = np.empty((2, len(z), padded), np.float32)
        kernel = library()
        if kernel is None:
            raise RuntimeError("the compiled kernel is not installed")
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (z, self._tiled, both[0], both[1])]
        kernel.stepwell_answers(
            pointers[0],
            ctypes.c_long(len(z)),
            width // 2,
            pointers[1],
            padded,
            ctypes.c_float(bar),
            *pointers[2:],
        )
        return both[0][:, :count], both[1][:, :count]


def answering(atoms: F32) -> Callable[[F32, float], tuple[F32, F32]]:
    """The compiled kernel where it is there, else the plain path."""
    if library() is not None and atoms.shape[1] <= MOST:
        return FusedAnswers(atoms)
    return lambda z, bar: answers(z, atoms, atoms.shape[1] // 2, bar)


def _tiled(rows: NDArray) -> NDArray:
    """(n, d) → (⌈n / TILE⌉, d, TILE), zeros past the end: the order the kernel reads in."""
    n, d = rows.shape
    padded = np.zeros((-(-n // TILE) * TILE, d), np.float32)
    padded[:n] = rows
    return padded.reshape(-1, TILE, d).transpose(0, 2, 1)


def usable(stream: Stream, images: NDArray) -> bool:
    """Whether the kernel can serve this stream and these arrays."""
    whole = stream.rows.shape[1] % (2 * 16) == 0 and stream.even % 16 == 0
    return whole and isinstance(stream.rows, np.ndarray) and library() is not None
