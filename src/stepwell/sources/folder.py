"""A folder of images: nested, unlabelled, as it comes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

from stepwell.interfaces import Skipped
from stepwell.sources.files import EncodedImages, Item, readable_id

_NOISE = {"__MACOSX", "Thumbs.db", "desktop.ini"}


@lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Suffixes that Pillow reads."""
    from PIL import Image

    Image.init()
    known = {s for s, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return frozenset(known - {".pdf", ".mpg", ".mpeg", ".h5", ".hdf"})


def is_image_name(name: str) -> bool:
    """Whether a name ends like an image's."""
    return PurePosixPath(name.lower()).suffix in image_suffixes()


class Folder(EncodedImages):
    """Images below a folder, or one image file.

    Walked folder by folder in sorted order; symbolic links are followed, loops are cut.
    Hidden files and files that are no images by their name are passed over; FIFOs,
    devices and dangling links are set aside unopened.
    """

    @staticmethod
    def accepts(path: Path) -> bool:
        """Any folder, or a file with an image's name."""
        return path.is_dir() or (path.is_file() and is_image_name(path.name))

    def items(self) -> Iterator[Item | Skipped]:
        if not self.path.is_dir():
            yield readable_id(self.path.name), self.path.read_bytes
            return
        yield from self._walk(self.path, "", frozenset())

    def _walk(self, folder: Path, prefix: str, above: frozenset) -> Iterator[Item | Skipped]:
        try:
            facts = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(readable_id(prefix.rstrip("/")), error.strerror or str(error))
            return
        here = (facts.st_dev, facts.st_ino)
        if here in above:
            yield Skipped(readable_id(prefix.rstrip("/")), "a link back to a folder above: a loop")
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _NOISE:
                continue
            name = prefix + entry.name
            if entry.is_dir():
                yield from self._walk(folder / entry.name, f"{name}/", above | {here})
            elif is_image_name(entry.name):
                yield self._file(Path(entry.path), readable_id(name))

    @staticmethod
    def _file(path: Path, name: str) -> Item | Skipped:
        try:
            mode = path.stat().st_mode
        except OSError:
            return Skipped(name, "a link to nothing")
        if not stat.S_ISREG(mode):
            return Skipped(name, "a pipe, socket or device, not a file")
        return name, partial(_read_file, path)


def _read_file(path: Path) -> bytes:
    return path.read_bytes()
