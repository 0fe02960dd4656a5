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

from stepwell.encoders.patches.dictionary import CONTRAST_NOISE, bar_of
from stepwell.encoders.patches.geometry import F32, pooling
from stepwell.encoders.patches.stream import BINS, PATCH, Stream, answers

ROWS, TILE, COLUMNS, STEP, ZERO = 5, 32, 16, 2, 64  # as in fused.c
_INTS = (
    "side",
    "channels",
    "patch",
    "stride",
    "grid",
    "bins",
    "half",
    "atoms",
    "even",
    "modes",
    "bar",
)
_ARRAYS = ("mean", "whiten", "dict", "start", "rows", "offset", "pool")
_NO_FIT = "the patch kernel was given sizes that do not fit its arrays"


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in _INTS] + [("noise", ctypes.c_float)]


class _Weights(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _ARRAYS]


class _Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (*_ARRAYS, "images", "out")]


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
        _check_stream(stream)
        (dict_, start), whiten = _packed(stream.atoms), _tiled(np.asarray(stream.whiten).T)
        padded = len(dict_) * TILE
        rows = np.zeros((padded, stream.rows.shape[1]), np.float32)
        rows[: len(stream.rows)] = stream.rows
        pool = pooling(stream.spec.grid, BINS)
        floats = [stream.mean, whiten, rows, stream.offset, pool]
        mean, whiten, *rest = (np.ascontiguousarray(a, np.float32) for a in floats)
        self._arrays: list[NDArray] = [mean, whiten, dict_, start, *rest]
        self._weights = _Weights(*[a.ctypes.data for a in self._arrays])
        self._stream, self._atoms = stream, padded

    def __call__(self, images: F32) -> F32:
        """(n, side, side, c) float32 images → (n, bins, bins, m)."""
        stream, kernel = self._stream, library()
        if kernel is None:
            raise RuntimeError("the compiled kernel is not installed")
        images = np.ascontiguousarray(images, np.float32)
        n, side, other, channels = images.shape
        if side != stream.spec.side or side != other or channels * PATCH**2 != len(stream.mean):
            raise ValueError(f"the kernel was laid out for other images than {images.shape}")
        spec, modes = stream.spec, stream.rows.shape[1]
        numbers = (side, channels, PATCH, spec.stride, spec.grid, BINS, stream.atoms.shape[1] // 2)
        shape = _Shape(
            *numbers, self._atoms, stream.even, modes, bar_of(spec.threshold), CONTRAST_NOISE
        )
        out = np.empty((n, BINS, BINS, modes), np.float32)
        pointer = ctypes.c_void_p
        counts = _Counts(*(a.size for a in (*self._arrays, images, out)))
        done = kernel.stepwell_encode(
            ctypes.byref(shape),
            ctypes.byref(self._weights),
            ctypes.byref(counts),
            pointer(images.ctypes.data),
            ctypes.c_long(n),
            pointer(out.ctypes.data),
        )
        if done < 0:
            raise ValueError(_NO_FIT)
        if not done:
            raise MemoryError("the patch kernel found no memory for one image's patches")
        return out


class FusedAnswers:
    """A dictionary laid out for the kernel. ``FusedAnswers(atoms)(z, bar)`` equals
    :func:`~stepwell.encoders.patches.stream.answers` on rounded rows."""

    def __init__(self, atoms: NDArray[np.int8]) -> None:
        (self._dict, self._start), self._shape = _packed(atoms), atoms.shape

    def __call__(self, z: F32, bar: int) -> tuple[F32, F32]:
        """(n, 2h) rounded rows → sums and differences of answers, (n, a) each."""
        kernel = library()
        if kernel is None:
            raise RuntimeError("the compiled kernel is not installed")
        (count, width), n = self._shape, len(z)
        if z.shape != (n, width):
            raise ValueError(_NO_FIT)
        whole, padded = -(-n // ROWS) * ROWS, len(self._dict) * TILE
        rows = np.full((whole, 2, -(-width // 2 // STEP) * STEP), ZERO, np.uint8)
        rows[:n, :, : width // 2] = z.reshape(n, 2, -1) + ZERO
        rows = np.repeat(rows.reshape(whole, -1, 1, STEP), 2, axis=2)
        both = np.empty((2, whole, padded), np.float32)
        arrays: list[NDArray] = [rows, self._dict, self._start, *both]
        at = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
        counts = (ctypes.c_size_t * len(arrays))(*(a.size for a in arrays))
        size = ctypes.c_long(whole)
        done = kernel.stepwell_answers(
            at[0], size, width // 2, at[1], at[2], padded, bar, at[3], at[4], counts
        )
        if done < 0:
            raise ValueError(_NO_FIT)
        return both[0][:n, :count], both[1][:n, :count]


def answering(atoms: NDArray[np.int8]) -> Callable[[F32, int], tuple[F32, F32]]:
    """The compiled kernel where it is there, else the plain path."""
    if library() is not None:
        return FusedAnswers(atoms)
    return lambda z, bar: answers(z, atoms, atoms.shape[1] // 2, bar)


def _check_stream(stream: Stream) -> None:
    """Raise ValueError for arrays and settings of which the kernel could not be laid out."""
    pixels, (atoms, columns), modes = len(stream.mean), stream.atoms.shape, len(stream.offset)
    shapes = (stream.mean.shape, stream.whiten.shape, stream.rows.shape, stream.offset.shape)
    fits = shapes == ((pixels,), (pixels, columns), (atoms, modes), (modes,))
    spec = stream.spec
    if not fits or columns % 2 or not 0 <= stream.even <= modes or stream.atoms.dtype != np.int8:
        raise ValueError(_NO_FIT)
    if spec.stride < 1 or spec.side < PATCH or not -1 <= spec.threshold <= 1:
        raise ValueError(_NO_FIT)


def _tiled(rows: NDArray) -> NDArray:
    """(n, d) → (⌈n / COLUMNS⌉, d, COLUMNS), zeros past the end: the order the kernel reads in."""
    n, d = rows.shape
    padded = np.zeros((-(-n // COLUMNS) * COLUMNS, d), np.float32)
    padded[:n] = rows
    return padded.reshape(-1, COLUMNS, d).transpose(0, 2, 1)


def _packed(atoms: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """(a, 2h) → the kernel's dictionary (⌈a / TILE⌉, 2, steps, TILE, STEP), and its start."""
    count, half = len(atoms), atoms.shape[1] // 2
    tiles, steps = -(-count // TILE), -(-half // STEP)
    padded = np.zeros((tiles * TILE, 2, steps * STEP), np.int8)
    padded[:count, :, :half] = atoms.reshape(count, 2, half)
    tiled = padded.reshape(tiles, TILE, 2, steps, STEP).transpose(0, 2, 3, 1, 4)
    sums = tiled.sum((2, 4), dtype=np.int64)
    return np.ascontiguousarray(tiled), (-ZERO * sums).astype(np.int16, order="C")


def usable(stream: Stream) -> bool:
    """Whether the kernel can serve this stream."""
    whole = stream.rows.shape[1] % (2 * 16) == 0 and stream.even % 16 == 0
    return whole and isinstance(stream.rows, np.ndarray) and library() is not None
