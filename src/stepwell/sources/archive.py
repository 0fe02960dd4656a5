"""A .zip or .tar archive of images, read where it lies."""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.encoded import EncodedSource, Item, broken, folder_labels
from stepwell.sources.pillow import MOST_BYTES, Unreadable, extensions
from stepwell.sources.walk import is_hidden, readable

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)


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
        self._members = _members(self._zip) if self._zip else {}
        super().__init__(
            path,
            readable(path.name).partition(".")[0] or "images",
            canvas=canvas,
            group_by=group_by,
            strict=strict,
            workers=workers,
        )

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
        try:
            with tarfile.open(self.path) as tar:
                while (member := tar.next()) is not None:
                    vars(tar)["members"] = []  # else every name ever seen is kept
                    id = _id(member.name)
                    if not _is_image(id) or member.isdir():
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


def _members(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Images by id, in the order a folder is walked; of two with one name, the last."""
    named = ((_id(_name(info)), info) for info in file.infolist() if not info.is_dir())
    images = {id: info for id, info in named if _is_image(id)}
    return dict(sorted(images.items(), key=lambda member: member[0].split("/")))


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member. Many tools write UTF-8 without setting the flag for it."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _id(name: str) -> str:
    return readable(name.removeprefix("./").lstrip("/"))


def _is_image(id: str) -> bool:
    extension = os.path.splitext(id)[1].lower()
    return extension in extensions() and not any(map(is_hidden, id.split("/")))


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
