"""What all sources of encoded images share: decoding on all cores, in order, bounded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from stepwell.interfaces import Batch, Skipped, StepwellError, UsageError
from stepwell.kit.hashing import digest_bytes
from stepwell.kit.threads import cores
from stepwell.sources.decode import Unreadable, decode, opened

Load = Callable[[], bytes]
Item = tuple[str, Load]
LARGEST_CANVAS, SMALLEST_CANVAS = 128, 8
_PEEKED, _LISTED = 64, 1000


def readable_id(name: str) -> str:
    """A name as valid Unicode: undecodable bytes become ``\\xNN``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class EncodedImages(ABC):
    """Base of folder, archive and table sources.

    Parameters
    ----------
    path : path
    canvas : int, optional
        Side of the square every image is read at. None: the images' own size where that
        is one square of at most 128 pixels, else their median side, at most 128.
    group_by : {"folder"}, optional
        Make the folder an example lies in its group (a patient's folder, say).
    strict : bool
        Stop at the first example that can't be read.
    workers : int, optional
        Threads that decode; default: all cores.
    """

    kind = "image"

    def __init__(
        self,
        path: Any,
        *,
        canvas: int | None = None,
        group_by: str | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        if group_by not in (None, "folder"):
            raise UsageError(f"Expected group_by 'folder' or nothing, found {group_by!r}.")
        self.path = Path(path)
        self.name = self.path.name or self.path.absolute().name
        self.skipped: list[Skipped] = []
        self._group_by, self._strict = group_by, strict
        self._workers = workers or cores()
        self._canvas = canvas

    @abstractmethod
    def items(self) -> Iterator[Item | Skipped]:
        """(id, loader of the file's bytes) in a fixed order, listed as it is walked."""

    @property
    def canvas(self) -> int:
        """Side of the square images are read at."""
        if self._canvas is None:
            self._canvas = self._peek()
        return self._canvas

    @property
    def options(self) -> dict[str, Any]:
        """Settings that open this source again the same way."""
        own = {"canvas": self.canvas, "group_by": self._group_by}
        return {name: value for name, value in own.items() if value is not None}

    def _peek(self) -> int:
        listed = [item for item in islice(self.items(), _LISTED) if not isinstance(item, Skipped)]
        sizes = []
        for _, load in listed[:: max(1, len(listed) // _PEEKED)][:_PEEKED]:
            try:
                sizes.append(opened(load()).size)
            except (Unreadable, OSError):
                continue
        if not sizes:
            return SMALLEST_CANVAS * 4
        distinct = set(sizes)
        if len(distinct) == 1 and sizes[0][0] == sizes[0][1] <= LARGEST_CANVAS:
            return max(SMALLEST_CANVAS, sizes[0][0])
        side = int(np.median([np.sqrt(w * h) for w, h in sizes]).round())
        return max(SMALLEST_CANVAS, min(LARGEST_CANVAS, side))

    def group(self, name: str) -> str:
        """What no split may cut: the id, or the folder of it."""
        return str(PurePosixPath(name).parent) if self._group_by else name

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group), without opening anything."""
        for item in self.items():
            if not isinstance(item, Skipped):
                yield item[0], self.group(item[0])

    def labels(self) -> dict[str, str] | None:
        """The name of each example's folder; None where there are no folders."""
        found = {name: PurePosixPath(name).parent.name for name, _ in self.entries()}
        return found if any(found.values()) else None

    def batches(self, size: int, *, ids: Collection[str] | None = None) -> Iterator[Batch]:
        """Batches of exactly ``size`` examples (the last may be smaller), in order."""
        self.skipped = []
        names: list[str] = []
        images, digests = [], []
        for name, image, digest in self._decoded(self._wanted(ids), look_ahead=2 * size):
            names.append(name)
            images.append(image)
            digests.append(digest)
            if len(names) == size:
                yield self._batch(names, images, digests)
                names, images, digests = [], [], []
        if names:
            yield self._batch(names, images, digests)

    def _batch(self, names: list[str], images: list, digests: list) -> Batch:
        groups = np.array([self.group(name) for name in names])
        data = {"image": np.stack(images)}
        return Batch(np.array(names), data, groups, np.array(digests, np.uint64))

    def _wanted(self, ids: Collection[str] | None) -> Iterator[Item]:
        for item in self.items():
            if isinstance(item, Skipped):
                self._set_aside(item)
            elif ids is None or item[0] in ids:
                yield item

    def _set_aside(self, skipped: Skipped) -> None:
        if self._strict:
            raise StepwellError(
                f"Expected only readable examples (--strict), found {skipped.id!r}: "
                f"{skipped.reason}. Remove it, or leave --strict out."
            )
        self.skipped.append(skipped)

    def _decoded(self, items: Iterable[Item], look_ahead: int) -> Iterator[tuple]:
        """Decode in a pool, in order, with at most ``look_ahead`` images in flight."""
        canvas = self.canvas
        waiting: deque[tuple[str, Future]] = deque()
        pool = ThreadPoolExecutor(self._workers)
        try:
            for name, load in items:
                waiting.append((name, pool.submit(_read, load, canvas)))
                if len(waiting) >= look_ahead:
                    yield from self._next(waiting)
            while waiting:
                yield from self._next(waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _next(self, waiting: deque) -> Iterator[tuple]:
        name, future = waiting.popleft()
        try:
            image, digest = future.result()
        except Unreadable as reason:
            self._set_aside(Skipped(name, str(reason)))
        except OSError as error:
            self._set_aside(Skipped(name, error.strerror or str(error)))
        else:
            yield name, image, digest


def _read(load: Load, canvas: int) -> tuple:
    content = load()
    return decode(content, canvas), digest_bytes(content)
