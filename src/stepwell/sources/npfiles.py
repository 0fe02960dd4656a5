""".npy and .npz files: what is in them, without loading it and without any pickle."""

from __future__ import annotations

import math
import zipfile
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError
from stepwell.sources.layout import expect_images
from stepwell.sources.rows import MOST_PACKED, Rows, check_claimed, held, streamed

_LOADED = 2**29
"""Bytes of an array with its columns first, which has to be loaded whole."""


class Header(NamedTuple):
    """What an array's header says."""

    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]


def headers(path: Path) -> dict[str, Header]:
    """Every array of an .npz file by name.

    Raises
    ------
    StepwellError
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.namelist():
                if member.endswith(".npy"):
                    with file.open(member) as stream:
                        header = _header(stream)
                        start = stream.tell()
                    info = file.getinfo(member)
                    there = min(info.file_size - start, info.compress_size * MOST_PACKED)
                    if not header.dtype.hasobject:
                        where = f"{path}, array {member!r}"
                        check_claimed(header.shape or (1,), header.dtype, there, False, where)
                    found[member.removesuffix(".npy")] = header
    except StepwellError:
        raise
    except Exception as error:  # of zipfile, zlib, numpy, Python's tokenizer …
        raise _damaged(path, error) from None
    return found


def mapped(path: Path) -> Rows:
    """Images of an .npy file, mapped into memory.

    Raises
    ------
    UsageError, StepwellError
    """
    try:
        with open(path, "rb") as file:
            header = _header(file)
            there = path.stat().st_size - file.tell()
        if not header.dtype.hasobject:
            check_claimed(header.shape or (1,), header.dtype, there, False, str(path))
        expect_images(header.shape, header.dtype, path.name)
        return held(np.load(path, mmap_mode="r", allow_pickle=False))
    except StepwellError:
        raise
    except Exception as error:  # of zipfile, zlib, numpy, Python's tokenizer …
        raise _damaged(path, error) from None


def member(path: Path, name: str, header: Header) -> Rows:
    """An array of an .npz file, read forward; loaded only if its columns come first."""
    if header.columns_first and not header.dtype.hasobject:
        if math.prod(header.shape) * header.dtype.itemsize > _LOADED:
            raise StepwellError(
                f"Expected array {name!r} of {path} with its rows one after the other, found its "
                f"columns so, which would have to be loaded whole: save np.ascontiguousarray(x)."
            )
        return held(loaded(path, name))
    opened = partial(_stream, path, name)
    return streamed(opened, header.shape, header.dtype, f"{path.name}, array {name!r}")


def loaded(path: Path, name: str) -> NDArray[Any]:
    """An array of an .npz file.

    Raises
    ------
    StepwellError
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file[name])
    except StepwellError:
        raise
    except Exception as error:  # of zipfile, zlib, numpy, Python's tokenizer …
        raise _damaged(path, error) from None


def _stream(path: Path, name: str) -> IO[bytes]:
    """An array of an .npz file as a stream that stands at its data."""
    with zipfile.ZipFile(path) as file:
        stream = file.open(f"{name}.npy")  # stays readable after the archive is closed
    _header(stream)
    return stream


def _header(file: IO[bytes]) -> Header:
    read = npy.read_array_header_1_0 if npy.read_magic(file)[0] == 1 else npy.read_array_header_2_0
    return Header(*read(file))


def _damaged(path: Path, error: Exception) -> StepwellError:
    return StepwellError(
        f"Expected a {path.suffix.lower()} file in {path}, found one that can't be read ({error}): "
        f"download or write it again."
    )
