"""Arrays of images: .npy, .npz, or in memory."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest
from stepwell.sources.layout import expect_images, why_no_images
from stepwell.sources.rows import Rows, RowSource, held, streamed
from stepwell.sources.walk import readable

_LABELS = [
    (r"images?$", "labels"),
    (r"images?$", "label"),
    (r"^(x|X)(?=_|$)", "y"),
    (r"(?<=_)(x|X)$", "y"),
    (r"^(data|images?|arr_0)$", "target"),
    (r"^(data|images?|arr_0)$", "targets"),
    (r"^(data|images?|arr_0)$", "labels"),
    (r"^(data|images?|arr_0)$", "y"),
]
"""How the name of images turns into that of their labels: train_images, x_train, data …"""


@final
class ArraySource(RowSource):
    """Images in a .npy or .npz file, or in an array in memory.

    Parameters
    ----------
    where : path or (n, h, w) or (n, h, w, c) array
        (n, c, h, w) is understood where it can be nothing else; see ``channels``.
    array : str, optional
        Name of the array in a .npz file. Default: the largest that can be images.
    channels : {"first", "last"}, optional
        Where the channels are. Default: last, unless c is 1, 3 or 4 on the second axis
        and not on the last (or the last two axes are equal and the second is not).
    scale : (float, float), optional
        The numbers that become black and white. Default: by the type of the numbers, or
        else their lowest and highest; see :class:`~stepwell.sources.rows.RowSource`.
    canvas, strict, workers
        As for :class:`~stepwell.sources.FolderSource`.

    Raises
    ------
    UsageError
        If there is no array of images.
    StepwellError
        If the file is damaged.
    """

    reads = "a .npy or .npz file"

    def __init__(
        self,
        where: str | os.PathLike[str] | NDArray[Any],
        *,
        array: str | None = None,
        canvas: int | None = None,
        channels: str | None = None,
        scale: Sequence[float] | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = None if isinstance(where, np.ndarray) else Path(where)
        self._array = ""
        if isinstance(where, np.ndarray):
            rows, name, prefix = held(where), "array", "array"
        else:
            name, prefix = readable(Path(where).stem), readable(Path(where).name)
            rows = self._found(Path(where), array)
        super().__init__(
            rows,
            name,
            prefix=prefix,
            path=path,
            canvas=canvas,
            channels=channels,
            scale=scale,
            strict=strict,
            workers=workers,
        )
        if self._array:
            self.options["array"] = self._array

    @staticmethod
    def accepts(path: Path) -> bool:
        """.npy and .npz files."""
        return path.is_file() and path.suffix.lower() in (".npy", ".npz")

    def labels(self) -> dict[str, str] | None:
        """Labels from the array that belongs to the images: x_train's are y_train."""
        if not self._array or self.path is None:
            return None
        with zipfile.ZipFile(self.path) as file:
            names = {name.removesuffix(".npy") for name in file.namelist()}
        for pattern, word in _LABELS:
            name, changed = re.subn(pattern, word, self._array)
            if changed and name != self._array and name in names:
                values = _loaded(self.path, name)
                if values is not None and values.size == len(values) == self._rows.shape[0]:
                    labels = values.reshape(-1).tolist()
                    return {self._id(row): str(label) for row, label in enumerate(labels)}
        return None

    def _found(self, path: Path, array: str | None) -> Rows:
        if path.suffix.lower() == ".npy":
            return held(_mapped(path))
        self._array, shape, order, dtype = _choose(path, array)
        if order:  # columns first: rows can't be cut from a stream
            whole = _loaded(path, self._array)
            if whole is not None:
                return held(whole)
        opened = partial(_member, path, self._array)
        return streamed(opened, shape, dtype, f"{path.name}, array {self._array!r}")


def _mapped(path: Path) -> NDArray[Any]:
    try:
        with open(path, "rb") as file:
            shape, _, dtype = _header(file)
        expect_images(shape, dtype, path.name)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, error) from None


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and dtype; the file then stands at the data."""
    read = npy.read_array_header_1_0 if npy.read_magic(file)[0] == 1 else npy.read_array_header_2_0
    return read(file)


def _member(path: Path, name: str) -> IO[bytes]:
    """An array of an .npz file as a stream that stands at its data."""
    with zipfile.ZipFile(path) as file:
        stream = file.open(f"{name}.npy")  # stays readable after the archive is closed
    _header(stream)
    return stream


def _loaded(path: Path, name: str) -> NDArray[Any] | None:
    """An array of an .npz file, unless it holds objects."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file[name])
    except ValueError:
        return None
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None


def _choose(path: Path, wanted: str | None) -> tuple[str, tuple[int, ...], bool, np.dtype[Any]]:
    """The array that is asked for, or else the largest that can be images."""
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.namelist():
                if member.endswith(".npy"):
                    with file.open(member) as stream:
                        found[member.removesuffix(".npy")] = _header(stream)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None
    listed = ", ".join(f"{name} {shape}" for name, (shape, _, _) in found.items()) or "no arrays"
    if wanted is not None and wanted not in found:
        raise UsageError(
            f"Expected the name of an array in {path}, found {wanted!r}."
            f"{nearest(wanted, found)} It holds: {listed}."
        )
    usable = {n: h for n, h in found.items() if not why_no_images(h[0], h[2])}
    if wanted is not None:
        return wanted, *found[wanted]
    if not usable:
        hint = next((why_no_images(shape, dtype) for shape, _, dtype in found.values()), "")
        raise UsageError(
            f"Expected images (n, h, w) or (n, h, w, c) in {path}, found {listed}"
            f"{f' which {hint}' if len(found) == 1 else ': give one with images'}."
        )
    largest = max(usable, key=lambda name: int(np.prod(usable[name][0], dtype=np.int64)))
    return largest, *usable[largest]


def _damaged(path: Path, error: Exception) -> StepwellError:
    return StepwellError(
        f"Expected a {path.suffix.lower()} file in {path}, found one that can't be read ({error}): "
        f"download or write it again."
    )
