"""Arrays of images: .npy, .npz, or in memory."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest
from stepwell.kit.nested import as_label
from stepwell.sources.layout import why_no_images
from stepwell.sources.npfiles import Header, headers, loaded, mapped, member
from stepwell.sources.rows import Rows, RowSource, held
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
        Name of the array in a .npz file. Default: the largest that can be images; rows of
        any other carry its name in their ids, ``"x.npz/val_images#row=7"``.
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
        self._array = ""
        path = None if isinstance(where, np.ndarray) else Path(where)
        if isinstance(where, np.ndarray):
            rows, prefix = held(where), "array"
        else:
            rows, prefix = self._found(Path(where), array)
        super().__init__(
            rows,
            readable(path.stem) if path else "array",
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

    def _found(self, path: Path, array: str | None) -> tuple[Rows, str]:
        """Rows of a file, and what their ids begin with."""
        prefix = readable(path.name)
        if path.suffix.lower() == ".npy":
            return mapped(path), prefix
        found = headers(path)
        usual = _largest(found)
        self._array = _chosen(path, found, array, usual)
        # Another array than the usual one: its rows must not be taken for the same examples.
        prefix += f"/{self._array}" if self._array != usual else ""
        return member(path, self._array, found[self._array]), prefix

    def labels(self) -> dict[str, str] | None:
        """Labels from the array that belongs to the images: x_train's are y_train."""
        if not self._array or self.path is None:
            return None
        n, found = self._rows.shape[0], headers(self.path)
        for pattern, word in _LABELS:
            name, changed = re.subn(pattern, word, self._array)
            if changed and name in found and found[name].shape in ((n,), (n, 1)):
                if found[name].dtype.hasobject:
                    continue
                labels = loaded(self.path, name).reshape(-1).tolist()
                named = ((self._id(row), as_label(label)) for row, label in enumerate(labels))
                return {id: label for id, label in named if label}
        return None


def _largest(found: dict[str, Header]) -> str | None:
    """The largest array that can be images."""
    usable = [name for name, h in found.items() if not why_no_images(h.shape, h.dtype)]
    return max(usable, key=lambda name: math.prod(found[name].shape), default=None)


def _chosen(path: Path, found: dict[str, Header], wanted: str | None, usual: str | None) -> str:
    """The array that is asked for, or else the usual one."""
    listed = ", ".join(f"{name} {header.shape}" for name, header in found.items()) or "no arrays"
    if wanted is not None and wanted not in found:
        raise UsageError(
            f"Expected the name of an array in {path}, found {wanted!r}."
            f"{nearest(wanted, found)} It holds: {listed}."
        )
    chosen = wanted or usual
    if chosen is None:
        only = next(iter(found.values())) if len(found) == 1 else None
        hint = f" which {why_no_images(only.shape, only.dtype)}" if only else ": none can be images"
        raise UsageError(
            f"Expected images (n, h, w) or (n, h, w, c) in {path}, found {listed}{hint}."
        )
    return chosen
