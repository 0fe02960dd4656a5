"""Images in numpy arrays: .npy, .npz, or in memory; any type, any number of channels."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Skipped, StepwellError, UsageError
from stepwell.kit.hashing import digest_rows
from stepwell.kit.names import nearest
from stepwell.sources.files import LARGEST_CANVAS, SMALLEST_CANVAS
from stepwell.sources.scale import full_range, to_bytes


class Arrays:
    """An array of images, (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1, 3 or 4.

    Parameters
    ----------
    where : path or array
    array : str, optional
        Name of the array in an .npz; default: the largest that looks like images.
    canvas : int, optional
        Side of the square every image is read at; see
        :class:`~stepwell.sources.files.EncodedImages`.
    strict : bool
        Stop at the first example that holds NaN or infinity.
    labels : array, optional
        (n,) labels for evaluation; an .npz brings its own.
    """

    kind = "image"

    def __init__(
        self,
        where: Any,
        *,
        array: str | None = None,
        canvas: int | None = None,
        strict: bool = False,
        labels: NDArray | None = None,
        workers: int | None = None,
    ) -> None:
        self.skipped: list[Skipped] = []
        self._array, self._strict, self._labels = array, strict, labels
        if isinstance(where, np.ndarray):
            self.path, self.name, raw = None, "array", where
        else:
            self.path = Path(where)
            self.name = self.path.name
            raw = self._read(self.path)
        self._values = self._shaped(raw)
        self._span = full_range(self._values) if self._values.dtype != np.uint8 else (0.0, 255.0)
        self.canvas = canvas or self._own_canvas()

    @staticmethod
    def accepts(path: Path) -> bool:
        """.npy and .npz files."""
        return path.is_file() and path.suffix.lower() in (".npy", ".npz")

    @property
    def options(self) -> dict[str, Any]:
        """Settings that open this source again the same way."""
        named = {"array": self._array} if self._array else {}
        return {"canvas": self.canvas, **named}

    def _read(self, path: Path) -> NDArray:
        try:
            if path.suffix.lower() == ".npy":
                return np.load(path, mmap_mode="r", allow_pickle=False)
            with np.load(path, allow_pickle=False) as file:
                return self._pick(file, path)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, UsageError):
                raise
            raise StepwellError(
                f"Expected arrays of plain numbers in {path}, found {error}. Save them with "
                f"numpy.save; arrays of Python objects are never loaded."
            ) from None

    def _pick(self, file: Any, path: Path) -> NDArray:
        """The named array, or the largest that looks like images; remember its labels."""
        if self._array is not None and self._array not in file.files:
            raise UsageError(
                f"Expected an array of {path}, found {self._array!r}."
                f"{nearest(self._array, file.files)} Arrays: {', '.join(file.files)}."
            )
        if self._array is None:
            shaped = {n: file[n] for n in file.files if file[n].ndim in (3, 4)}
            if not shaped:
                shapes = ", ".join(f"{n} {file[n].shape}" for n in file.files)
                raise UsageError(f"Expected images (n, h, w[, c]) in {path}, found {shapes}.")
            self._array = max(shaped, key=lambda name: shaped[name].size)
        found: NDArray = file[self._array]
        self._labels = self._sibling_labels(file, len(found))
        return found

    def _sibling_labels(self, file: Any, n: int) -> NDArray | None:
        """``train_labels`` beside ``train_images``; ``y`` or ``labels`` beside anything."""
        own = (self._array or "").replace("images", "labels").replace("x_", "y_")
        for name in (own, "labels", "label", "y"):
            if name in file.files and name != self._array and file[name].size == n:
                labels: NDArray = file[name].reshape(-1)
                return labels
        return None

    @staticmethod
    def _shaped(raw: NDArray) -> NDArray:
        if raw.dtype.kind not in "uifb":
            raise UsageError(f"Expected numbers, found an array of type {raw.dtype}.")
        if raw.ndim == 3:
            raw = raw[..., None]
        elif raw.ndim == 4 and raw.shape[1] in (1, 3, 4) and raw.shape[3] not in (1, 3, 4):
            raw = np.moveaxis(raw, 1, 3)
        if raw.ndim != 4 or 0 in raw.shape:
            raise UsageError(
                f"Expected images of shape (n, h, w) or (n, h, w, c), found {raw.shape}."
            )
        return raw

    def _own_canvas(self) -> int:
        height, width = self._values.shape[1:3]
        side = height if height == width else round((height * width) ** 0.5)
        return max(SMALLEST_CANVAS, min(LARGEST_CANVAS, side))

    def _id(self, row: int) -> str:
        return f"{self.name}#row={row}"

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row."""
        for row in range(len(self._values)):
            yield self._id(row), self._id(row)

    def labels(self) -> dict[str, str] | None:
        """Labels from a sibling array, where there is one."""
        if self._labels is None:
            return None
        return {self._id(row): str(label) for row, label in enumerate(self._labels)}

    def batches(self, size: int, *, ids: Collection[str] | None = None) -> Iterator[Batch]:
        """Batches of exactly ``size`` examples (the last may be smaller), in order."""
        self.skipped = []
        rows = [
            row for row in range(len(self._values)) if ids is None or self._id(row) in ids
        ]
        kept: list[int] = []
        for row in rows:
            if self._finite(row):
                kept.append(row)
            if len(kept) == size:
                yield self._batch(kept)
                kept = []
        if kept:
            yield self._batch(kept)

    def _finite(self, row: int) -> bool:
        if self._values.dtype.kind != "f" or bool(np.isfinite(self._values[row]).all()):
            return True
        reason = "holds NaN or infinity"
        if self._strict:
            raise StepwellError(
                f"Expected only finite numbers (--strict), found {self._id(row)!r}: {reason}."
            )
        self.skipped.append(Skipped(self._id(row), reason))
        return False

    def _batch(self, rows: list[int]) -> Batch:
        from stepwell.sources.resample import to_canvas

        raw = np.ascontiguousarray(self._values[rows])
        tag = f"{raw.dtype.str}{raw.shape[1:]}".encode()
        digest = digest_rows(tag + row.tobytes() for row in raw)
        images = to_canvas(to_bytes(raw, self._span), self.canvas)
        ids = np.array([self._id(row) for row in rows])
        return Batch(ids, {"image": images}, ids, digest)
