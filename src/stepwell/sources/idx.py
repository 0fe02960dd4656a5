"""IDX files, the format of MNIST and its kin, compressed or not.

The format: two zero bytes, a type, the number of axes, the length of each axis as
big-endian 32-bit integers, then the numbers (LeCun, yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import IO, Any, cast, final

import numpy as np

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.rows import Rows, RowSource, check_claimed, streamed
from stepwell.sources.walk import readable

_IMAGES = re.compile(r"images?[-._]idx[34][-._]ubyte(\.gz)?$", re.IGNORECASE)
_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_SPLITS = {"train": ("train",), "test": ("t10k", "test")}


@final
class IdxSource(RowSource):
    """Images in an IDX file, or in a folder of them.

    Parameters
    ----------
    path : path
        ``…-images-idx3-ubyte``, plain or ``.gz``, or a folder that holds such files.
    split : {"train", "test"}, optional
        Which file of a folder. Default: ``train``, or the only one there is.
    canvas, strict, workers
        As for :class:`~stepwell.sources.FolderSource`.

    Raises
    ------
    UsageError
        If the folder does not hold the split.
    StepwellError
        If the file is damaged.
    """

    reads = "an IDX file (MNIST format) or a folder of them"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        split: str | None = None,
        canvas: int | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        self._file = _chosen(path, split) if path.is_dir() else path
        name = readable(path.resolve().name if path.is_dir() else path.name.partition(".")[0])
        super().__init__(
            _rows(self._file),
            name,
            prefix=readable(self._file.name),
            path=path,
            canvas=canvas,
            strict=strict,
            workers=workers,
        )
        if split:
            self.options["split"] = split

    @staticmethod
    def accepts(path: Path) -> bool:
        """Files named ``…images-idx3-ubyte[.gz]``, and folders with one at the top."""
        return bool(_image_files(path)) if path.is_dir() else bool(_IMAGES.search(path.name))

    def labels(self) -> dict[str, str] | None:
        """Labels from the file beside the images: ``…-labels-idx1-ubyte``."""
        name = self._file.name.replace("images", "labels").replace("idx3", "idx1")
        plain = name.removesuffix(".gz")
        for file in (self._file.with_name(plain), self._file.with_name(f"{plain}.gz")):
            if file.is_file() and file != self._file:
                rows = _rows(file)
                values = np.concatenate([block.reshape(-1) for block in rows.blocks(2**16)])
                if len(values) == self._rows.shape[0]:
                    return {self._id(row): str(label) for row, label in enumerate(values.tolist())}
        return None


def _image_files(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in os.listdir(folder) if _IMAGES.search(name))
    except OSError:
        return []


def _chosen(folder: Path, split: str | None) -> Path:
    """The file of a split."""
    if split not in (None, *_SPLITS):
        raise UsageError(f"Expected split 'train' or 'test', found {split!r}.")
    files = _image_files(folder)
    words = _SPLITS[split or "train"]
    fitting = [file for file in files if any(word in file.name.lower() for word in words)]
    if not fitting and split is None:
        fitting = files
    # The same file is often there twice, plain and compressed.
    plain = {file.name.removesuffix(".gz"): file for file in reversed(fitting)}
    if len(plain) != 1:
        names = ", ".join(file.name for file in files)
        raise UsageError(
            f"Expected one file of images for split {split or 'train'!r} in {folder}, found "
            f"{len(plain)} among {names}: give the path of the file itself."
        )
    return next(iter(plain.values()))


def _open(file: Path) -> IO[bytes]:
    """The content, unpacked; what it begins with counts, not what it is called."""
    if _packed(file):
        return cast("IO[bytes]", gzip.open(file, "rb"))
    return open(file, "rb")


def _packed(file: Path) -> bool:
    with open(file, "rb") as raw:
        return raw.read(2) == b"\x1f\x8b"


def _header(stream: IO[bytes], file: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        zero, kind, axes = struct.unpack(">HBB", stream.read(4))
        shape = struct.unpack(f">{axes}I", stream.read(4 * axes))
        if zero or not axes:
            raise ValueError("it begins with other bytes")
        return shape, np.dtype(_TYPES[kind])
    except (struct.error, ValueError, KeyError, OSError, EOFError, zlib.error) as error:
        raise StepwellError(
            f"Expected an IDX file (MNIST format) in {file}, found one that can't be read "
            f"({error}): download it again."
        ) from None


def _rows(file: Path) -> Rows:
    with _open(file) as stream:
        shape, dtype = _header(stream, file)
    check_claimed(shape, dtype, os.path.getsize(file), _packed(file), str(file))
    return streamed(partial(_at_data, file), shape, dtype, file.name)


def _at_data(file: Path) -> IO[bytes]:
    stream = _open(file)
    _header(stream, file)
    return stream
