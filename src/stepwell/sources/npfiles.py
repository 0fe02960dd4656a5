""".npy and .npz files: what is in them, without loading it and without any pickle."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError
from stepwell.sources.layout import expect_images
from stepwell.sources.pillow import MOST_BYTES
from stepwell.sources.rows import MOST_PACKED, Rows, check_claimed, held, streamed

LONGEST_HEADER = 2**16
"""Bytes; numpy itself takes no more than 10,000 signs for safe."""
DENSEST = 16
"""Times that arrays of any size may be packed which have to be held whole."""


class Header(NamedTuple):
    """What an array's header says, and where its numbers begin."""

    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]
    start: int


def headers(path: Path) -> dict[str, Header]:
    """Every array of an .npz file by name.

    Raises
    ------
    StepwellError
    """
    found = {}
    with _reading(path), zipfile.ZipFile(path) as file:
        for member in file.namelist():
            if member.endswith(".npy"):
                with file.open(member) as stream:
                    header = _header(stream)
                info = file.getinfo(member)
                if not header.dtype.hasobject:
                    room = min(info.file_size, info.compress_size * MOST_PACKED) - header.start
                    where = f"{path}, array {member!r}"
                    shape, on_disk = (
                        header.shape or (1,),
                        min(info.compress_size, path.stat().st_size),
                    )
                    check_claimed(shape, header.dtype, room, on_disk, where)
                found[member.removesuffix(".npy")] = header
    return found


def mapped(path: Path) -> Rows:
    """Images of an .npy file, mapped into memory.

    Raises
    ------
    UsageError, StepwellError
    """
    with _reading(path):
        with open(path, "rb") as file:
            header = _header(file)
        expect_images(header.shape, header.dtype, path.name)
        size = path.stat().st_size
        check_claimed(header.shape, header.dtype, size - header.start, size, str(path))
        return held(np.load(path, mmap_mode="r", allow_pickle=False))


def member(path: Path, name: str, header: Header) -> Rows:
    """An array of an .npz file, read forward; loaded only if its columns come first."""
    label = f"{path.name}, array {name!r}"
    expect_images(header.shape, header.dtype, label)
    if header.columns_first:
        return held(loaded(path, name))
    return streamed(partial(_stream, path, name), header.shape, header.dtype, label)


def loaded(path: Path, name: str) -> NDArray[Any]:
    """An array of an .npz file, whole.

    Raises
    ------
    StepwellError
        Also if it is large, and packed so well that a small file could fill the memory.
    """
    with _reading(path), zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
        header, info = _header(stream), file.getinfo(f"{name}.npy")
        size = math.prod(header.shape) * header.dtype.itemsize
        if size > max(MOST_BYTES, DENSEST * min(info.compress_size, path.stat().st_size)):
            raise StepwellError(
                f"Expected array {name!r} of {path} with its rows one after the other, found "
                f"{size / 1e6:,.0f} MB that would have to be loaded whole: save "
                f"np.ascontiguousarray(x)."
            )
        raw = stream.read(size)
        if len(raw) < size:
            raise ValueError(f"{size:,} bytes of array {name!r} announced, {len(raw):,} there")
        array = np.frombuffer(raw, header.dtype)
        return array.reshape(header.shape, order="F" if header.columns_first else "C")


def _stream(path: Path, name: str) -> IO[bytes]:
    """An array of an .npz file as a stream that stands at its data."""
    with zipfile.ZipFile(path) as file:
        stream = file.open(f"{name}.npy")  # stays readable after the archive is closed
    _header(stream)
    return stream


def _header(file: IO[bytes]) -> Header:
    """The header where a stream begins, of a length that makes sense."""
    wide = npy.read_magic(file)[0] > 1
    announced = file.read(4 if wide else 2)
    length = int.from_bytes(announced, "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes is announced")
    content = io.BytesIO(announced + file.read(length))
    read = npy.read_array_header_2_0 if wide else npy.read_array_header_1_0
    shape, columns_first, dtype = read(content)
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"the shape {shape} is announced")
    return Header(shape, columns_first, dtype, npy.MAGIC_LEN + len(announced) + length)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong within is damage of the file: archives, what unpacks them, numpy and
    Python's tokenizer each have errors of their own."""
    try:
        yield
    except StepwellError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise StepwellError(
            f"Expected a {path.suffix.lower()} file in {path}, found one that can't be read "
            f"({lines[0][:300]}): download or write it again."
        ) from None
