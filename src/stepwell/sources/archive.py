"""Images in a .zip or .tar, read in place."""

from __future__ import annotations

import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from stepwell.interfaces import Skipped, StepwellError
from stepwell.sources.decode import Unreadable
from stepwell.sources.files import EncodedImages, Item, readable_id
from stepwell.sources.folder import is_image_name

LARGEST_MEMBER = 1 << 30
"""Bytes a member may unpack to; the rest is taken for a bomb."""


def _shown(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and is_image_name(name)


class Zip(EncodedImages):
    """Images in a zip file, by sorted name."""

    @staticmethod
    def accepts(path: Path) -> bool:
        """A file that is a zip, whatever its name, except numpy's .npz."""
        return path.is_file() and path.suffix.lower() != ".npz" and zipfile.is_zipfile(path)

    def items(self) -> Iterator[Item | Skipped]:
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise StepwellError(f"Expected a whole zip, found {error} in {self.path}.") from None
        reading = threading.Lock()
        for info in sorted(archive.infolist(), key=lambda i: i.filename):
            if info.is_dir() or not _shown(info.filename):
                continue
            name = readable_id(info.filename)
            if info.flag_bits & 1:
                yield Skipped(name, "encrypted")
            elif info.file_size > LARGEST_MEMBER:
                yield Skipped(name, f"unpacks to {info.file_size:,} bytes: refused")
            else:
                yield name, partial(_unzip, archive, info, reading)


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, reading: threading.Lock) -> bytes:
    try:
        with reading, archive.open(info) as member:
            content = member.read(info.file_size + 1)
    except Exception as error:
        raise Unreadable(f"damaged in the archive: {error}") from None
    if len(content) > info.file_size:
        raise Unreadable("unpacks to more than it says: refused")
    return content


class Tar(EncodedImages):
    """Images in a tar file, packed or not, in the order they lie in it.

    A packed tar can only be read from front to back, so every pass unpacks it once.
    """

    @staticmethod
    def accepts(path: Path) -> bool:
        """A file that is a tar, whatever its name."""
        return path.is_file() and ".tar" in "".join(path.suffixes[-2:]).lower() + (
            ".tar" if path.suffix.lower() in (".tgz", ".tbz2", ".txz") else ""
        )

    def items(self) -> Iterator[Item | Skipped]:
        try:
            with tarfile.open(self.path) as archive:
                yield from self._members(archive)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise StepwellError(f"Expected a whole tar, found {error} in {self.path}.") from None

    def _members(self, archive: tarfile.TarFile) -> Iterator[Item | Skipped]:
        for member in archive:
            name = readable_id(member.name.removeprefix("./"))
            if not _shown(name) or member.isdir():
                continue
            if not member.isfile():
                yield Skipped(name, "a link or device, not a file")
            elif member.size > LARGEST_MEMBER:
                yield Skipped(name, f"unpacks to {member.size:,} bytes: refused")
            else:
                file = archive.extractfile(member)
                content = file.read() if file else b""
                yield name, partial(bytes, content)
