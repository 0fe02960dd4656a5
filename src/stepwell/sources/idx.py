"""IDX files, the format of MNIST and its relatives, packed or not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.arrays import Arrays

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_SPLITS = {"train": ("train",), "test": ("t10k", "test")}


def read_idx(path: Path) -> NDArray:
    """The array in an IDX file.

    Raises
    ------
    StepwellError
        If the file is cut short or no IDX file.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if _packed(path) else path.read_bytes()
        kind, dimensions = content[2], content[3]
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        dtype = np.dtype(_TYPES[kind])
        values = np.frombuffer(content, dtype, offset=4 + 4 * dimensions)
        return values.reshape(shape).astype(dtype.newbyteorder("="))
    except (OSError, EOFError, KeyError, IndexError, struct.error, ValueError) as error:
        raise StepwellError(f"Expected a whole IDX file at {path}, found: {error}.") from None


def _packed(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _is_images(path: Path) -> bool:
    return "idx3-ubyte" in path.name or "idx4-ubyte" in path.name


class Idx(Arrays):
    """An IDX file of images, or a folder that holds the usual four files.

    Parameters
    ----------
    path : path
    split : {"train", "test"}
        Which of a folder's two sets.
    """

    def __init__(self, path: Any, *, split: str = "train", **options: Any) -> None:
        if split not in _SPLITS:
            raise UsageError(f"Expected split 'train' or 'test', found {split!r}.")
        self._split = split
        images = self._images(Path(path), split)
        beside = images.with_name(images.name.replace("images-idx3", "labels-idx1"))
        known = read_idx(beside) if beside != images and beside.is_file() else None
        super().__init__(read_idx(images), labels=known, **options)
        self.path, self.name = Path(path), images.name.split(".")[0]

    @staticmethod
    def accepts(path: Path) -> bool:
        """A file named so, or a folder with such a file."""
        if path.is_dir():
            return any(_is_images(child) for child in path.iterdir())
        return path.is_file() and _is_images(path)

    @staticmethod
    def _images(path: Path, split: str) -> Path:
        if path.is_file():
            return path
        found = sorted(child for child in path.iterdir() if _is_images(child))
        for child in found:
            if child.name.startswith(_SPLITS[split]):
                return child
        if len(found) == 1:
            return found[0]
        names = ", ".join(child.name for child in found)
        raise UsageError(f"Expected IDX images of split {split!r} in {path}, found {names}.")

    @property
    def options(self) -> dict[str, Any]:
        """Settings that open this source again the same way."""
        return {**super().options, "split": self._split}
