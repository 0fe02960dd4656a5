"""A .zip or .tar archive of images, read where it lies."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast, final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.encoded import EncodedSource, Item, broken, folder_labels
from stepwell.sources.pillow import MOST_BYTES, Unreadable, extensions
from stepwell.sources.sniff import HEAD, is_image, may_be_image, passed_over
from stepwell.sources.walk import Found, is_hidden, readable

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_HEADER = 2**20
"""Bytes of the header of a member in a tar archive."""
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(ValueError, struct.error, NotImplementedError, KeyError, IndexError, OverflowError),
)


@final
class ArchiveSource(EncodedSource):
    """Images in a .zip or .tar(.gz, .bz2, .xz) file; nothing is unpacked to disk.

    A zip gives the same ids in the same order as the folder it was made from; a tar keeps
    its own order, for it can only be read from front to back.

    Parameters
    ----------
    path : path
    canvas, group_by, strict, workers
        As for :class:`~stepwell.sources.FolderSource`.

    Raises
    ------
    UsageError
        If there are no images.
    StepwellError
        If it is no archive.
    """

    reads = "a .zip or .tar archive of images"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        canvas: int | None = None,
        group_by: str | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path = Path(path)
        self.sequential = not path.name.lower().endswith(".zip")
        self._zip = None if self.sequential else _opened(path)
        passed = Counter[str]()
        self._members = _members(self._zip, passed) if self._zip else {}
        super().__init__(
            path,
            readable(path.name).partition(".")[0] or "images",
            canvas=canvas,
            group_by=group_by,
            strict=strict,
            workers=workers,
        )
        self.passed = passed if self._zip else self.passed

    @staticmethod
    def accepts(path: Path) -> bool:
        """Files with the extension of an archive."""
        return path.is_file() and path.name.lower().endswith((".zip", *_TAR))

    def labels(self) -> dict[str, str] | None:
        """The name of the folder each image is in."""
        return folder_labels(id for id, _ in self.entries())

    def _items(self) -> Iterator[Item]:
        if self._zip is None:
            yield from self._from_tar()
            return
        for id, info in self._members.items():
            yield Item(id, partial(_from_zip, self._zip, info), partial(int, info.file_size))

    def _from_tar(self) -> Iterator[Item]:
        """Images of a tar file, each to be loaded before the next is asked for."""
        assert self.path is not None
        seen: set[str] = set()
        self.passed = passed = Counter[str]()
        try:
            with _tar(self.path) as (tar, file):
                while (member := _next(tar, file)) is not None:
                    vars(tar)["members"] = []  # else every name ever seen is kept
                    id = _id(member.name)
                    if member.isdir() or not _shown(id):
                        continue
                    sniffed = not _is_image(id) and member.isreg() and _may_be(id)
                    if not _is_image(id) and not (sniffed and _begins(tar, member)):
                        passed[passed_over(Found(id, id), "image")] += 1
                        continue
                    if not member.isreg():
                        yield broken(id, "a link or a device in the archive, not a file")
                    elif id in seen:
                        yield broken(f"{id} (again)", "a second file of this name")
                    else:
                        seen.add(id)
                        load = partial(_from_open_tar, tar, member)
                        yield Item(id, load, partial(int, member.size))
        except _DAMAGE as error:
            if not seen:
                raise _no_archive(self.path, error) from None
            yield broken(self.name, f"the archive is damaged after {len(seen)} images: {error}")

    def _nothing(self) -> StepwellError:
        return UsageError(
            f"Expected images in {self.path}, found none in the archive: "
            f"give one with .jpg, .png or other images in it."
        )


class _Bounded:
    """A file that gives no more at once than is asked for in earnest: a header in a tar archive may
    claim gigabytes, which would be read into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.most, self.last = file, MOST_HEADER, -1

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.most:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _tar(path: Path) -> Iterator[tuple[tarfile.TarFile, _Bounded]]:
    """An archive, unpacked by what it begins with."""
    with open(path, "rb") as raw:
        start = raw.read(2**16)
    if start.startswith(b"\xfd7zXZ"):
        lzma.LZMADecompressor(memlimit=MOST_BYTES).decompress(start, 1)  # or an error
    kinds = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))
    opener: Any = next((made for mark, made in kinds if start.startswith(mark)), open)
    with opener(path, "rb") as file:
        bounded = _Bounded(file)
        with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r:") as tar:
            yield tar, bounded


def _next(tar: tarfile.TarFile, file: _Bounded) -> tarfile.TarInfo | None:
    """The next member; names of it are bounded, and it lies behind the one before."""
    file.most = MOST_HEADER
    try:
        member = tar.next()
    finally:
        file.most = MOST_BYTES + 1
    if member is not None:
        if member.size < 0 or member.offset_data <= file.last:
            raise tarfile.ReadError("a member of a negative size")
        file.last = member.offset_data
    return member


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise _no_archive(path, error) from None


def _no_archive(path: Path, error: Exception) -> StepwellError:
    return StepwellError(
        f"Expected an archive in {path}, found one that can't be opened ({error}): "
        f"it may be incomplete; download or pack it again."
    )


def _members(file: zipfile.ZipFile, passed: Counter[str]) -> dict[str, zipfile.ZipInfo]:
    """Images by id, in the order a folder is walked; of two with one name, the last."""
    images = {}
    for info in file.infolist():
        id = _id(_name(info))
        if info.is_dir() or id.endswith("/") or not _shown(id):
            continue
        if _is_image(id) or (_may_be(id) and _head(file, info)):
            passed["another file of a name that comes later"] += id in images
            images[id] = info
        else:
            passed[passed_over(Found(id, id), "image")] += 1
    for why in [why for why, count in passed.items() if not count]:
        del passed[why]
    return dict(sorted(images.items(), key=lambda member: member[0].split("/")))


def _head(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether a member begins like an image."""
    try:
        with file.open(info) as member:
            return is_image(member.read(HEAD))
    except (RuntimeError, *_DAMAGE):
        return False


def _begins(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    """The same of a tar archive, which goes on from where it was: a seek back within what is
    packed would unpack all of it again."""
    place = tar.fileobj.tell()
    content = tar.extractfile(member)
    found = content is not None and is_image(content.read(HEAD))
    if not found:
        tar.fileobj.seek(place)
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member. Many tools write UTF-8 without setting the flag for it."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _id(name: str) -> str:
    """The path of a member; some tools of Windows part folders by backslashes."""
    name = name if "/" in name else name.replace("\\", "/")
    return readable(name.removeprefix("./").lstrip("/"))


def _shown(id: str) -> bool:
    return not any(map(is_hidden, id.split("/")))


def _is_image(id: str) -> bool:
    return os.path.splitext(id)[1].lower() in extensions()


def _may_be(id: str) -> bool:
    """Whether a member that is not called like an image may be one all the same."""
    return may_be_image(Found(id, id))


def _from_zip(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with file.open(info) as member:
            return _capped(member)
    except RuntimeError as error:  # the word zipfile has for a missing password
        locked = "password" in str(error)
        reason = "protected by a password" if locked else f"can't be unpacked: {error}"
        raise Unreadable(reason) from None
    except _DAMAGE as error:
        raise Unreadable(f"damaged in the archive: {error}") from None


def _from_open_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    try:
        content = tar.extractfile(member)
        return _capped(content) if content else b""
    except _DAMAGE as error:
        raise Unreadable(f"damaged in the archive: {error}") from None


def _capped(member: IO[bytes]) -> bytes:
    """All bytes of a member, however many it hides behind the size it declares."""
    content = member.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Unreadable(f"too large: more than {MOST_BYTES // 10**6} MB")
    return content
