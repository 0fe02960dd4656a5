"""A folder of images, or a single one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import final

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources.encoded import EncodedSource, Item, broken, folder_labels
from stepwell.sources.pillow import FOREIGN, extensions
from stepwell.sources.sniff import head_of, is_image, may_be_image, passed_over
from stepwell.sources.walk import Found, read, readable, walk


@final
class FolderSource(EncodedSource):
    """Images in a folder and the folders below it, or one image file.

    An id is the path below the folder, ``"cats/tom.jpg"``. Files that are no images by
    their extension are passed over.

    Parameters
    ----------
    path : path
    canvas : int, optional
        Side of the square that images are squeezed into. Default: the size of the images
        if they are square and ≤ 128, else up to 128.
    group_by : {"folder"}, optional
        Images of one folder belong together (a patient, a scene); default: each alone.
    strict : bool
        Raise at the first image that can't be read.
    workers : int, optional
        Threads that decode; default: all cores.

    Raises
    ------
    UsageError
        If there are no images.
    """

    reads = "a folder of images"

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
        name = path.stem if path.is_file() else path.resolve().name
        super().__init__(
            path,
            readable(name) or "images",
            canvas=canvas,
            group_by=group_by,
            strict=strict,
            workers=workers,
        )

    @staticmethod
    def accepts(path: Path) -> bool:
        """Folders, and files with the extension of an image."""
        from stepwell.sources.kinds import is_kind

        return is_kind(path, "folder")

    def labels(self) -> dict[str, str] | None:
        """The name of the folder each image is in."""
        return folder_labels(id for id, _ in self.entries())

    def _items(self) -> Iterator[Item]:
        assert self.path is not None
        if not self.path.is_dir():
            name = readable(self.path.name)
            yield _item(Found(name, os.fspath(self.path)))
            return
        known, foreign = extensions(), FOREIGN - extensions()
        passed = Counter[str]()
        for found in walk(self.path):
            if found.problem:
                yield broken(found.id, found.problem)
            elif found.extension in known:
                yield _item(found)
            elif found.extension in foreign:
                kind = found.extension[1:].upper()
                yield broken(found.id, f"{kind} can't be read here: convert it to JPEG or PNG")
            elif may_be_image(found) and is_image(head_of(found.path)):
                yield _item(found)
            else:
                passed[passed_over(found, "image")] += 1
        self.passed = passed

    def _nothing(self) -> StepwellError:
        assert self.path is not None
        found = list(walk(self.path))
        if not found:
            return UsageError(
                f"Expected images in {self.path}, found an empty folder: "
                f"put images in it, or give another path."
            )
        counts = Counter(f.extension or "without extension" for f in found if not f.problem)
        kinds = ", ".join(f"{n} × {kind}" for kind, n in counts.most_common(4)) or found[0].problem
        return UsageError(
            f"Expected images in {self.path}, found none among {len(found)} files ({kinds}): "
            f"give a folder with .jpg, .png or other images, or name one file that holds them."
        )


def _item(found: Found) -> Item:
    return Item(found.id, partial(read, found.path), partial(os.path.getsize, found.path))
