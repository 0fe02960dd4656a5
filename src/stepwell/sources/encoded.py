"""Sources whose examples are image files somewhere: listed, loaded, decoded on all cores."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stepwell.interfaces import Batch, Skipped, StepwellError, UsageError
from stepwell.kit.hashing import digest_bytes
from stepwell.sources.base import ImageSource
from stepwell.sources.canvas import checked, choose
from stepwell.sources.decode import decode, size_of
from stepwell.sources.pillow import (
    LARGE_BYTES,
    MOST_BYTES,
    Unreadable,
    formats,
    one_at_a_time,
)
from stepwell.sources.pool import ordered

PEEKED, PEEKED_AMONG = 64, 1000
THUMBNAIL_BYTES = 4096
LONGEST_ID = 1024
"""Characters of a name: tables of all names are as wide as the longest."""
CHUNK, CHUNK_BYTES = 16, 2**22
"""Images handed to a thread at a time: many, for a small image takes no longer to decode
than a thread to wake; or as many bytes of them."""


class Item(NamedTuple):
    """An image file that can be loaded, or what is known to be wrong with it."""

    id: str
    load: Callable[[], bytes]
    size: Callable[[], int]
    problem: str = ""
    held: int = 0
    """Bytes in memory already."""


def broken(id: str, reason: str) -> Item:
    """What is listed only to be set aside."""
    return Item(id, bytes, lambda: 0, reason)


def holding(id: str, content: bytes) -> Item:
    """An item whose bytes are in memory."""
    return Item(id, lambda: content, partial(len, content), held=len(content))


class EncodedSource(ImageSource):
    """A source that lists :class:`Item`; a kind adds only where these come from."""

    sequential = False
    """Whether an item can be loaded only until the next one is listed."""

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        canvas: int | None,
        group_by: str | None = None,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        super().__init__(path, name, strict, workers)
        if group_by not in (None, "folder"):
            raise UsageError(f"Expected group_by 'folder' or nothing, found {group_by!r}.")
        self._group_by = group_by
        canvas = checked(canvas)
        first = [id for id, _ in islice(self.entries(), 1 if canvas else PEEKED_AMONG)]
        if not first:
            raise self._nothing()
        self.canvas = canvas or choose(self._peeked(first))
        self.options["canvas"] = self.canvas
        if group_by:
            self.options["group_by"] = group_by

    @abstractmethod
    def _items(self) -> Iterator[Item]:
        """Everything there is, in order, nothing loaded."""

    @abstractmethod
    def _nothing(self) -> StepwellError:
        """The error that says what was found instead of images."""

    def _group(self, id: str) -> str:
        return (self._group_by and parent(id)) or id

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every image, in source order; some may turn out unreadable."""
        for item in self._items():
            if not item.problem and len(item.id) <= LONGEST_ID:
                yield item.id, self._group(item.id)

    def _chosen(self, ids: frozenset[str] | None) -> Iterator[Item]:
        """All items, or those of ``ids``: the listing ends with the last of them."""
        left = -1 if ids is None else len(ids)
        if left == 0:
            return
        for item in self._items():
            if ids is not None and (item.problem or item.id not in ids):
                continue
            if len(item.id) > LONGEST_ID:
                item = broken(f"{item.id[:80]}…", f"a name of {len(item.id):,} characters")
            yield self._held(item) if self.sequential else item
            left -= 1
            if left == 0:
                return

    def _held(self, item: Item) -> Item:
        try:
            return item if item.problem else holding(item.id, _loaded(item))
        except Unreadable as error:
            return broken(item.id, str(error))

    def _peeked(self, ids: list[str]) -> Iterator[tuple[int, int]]:
        """Sizes of up to 64 images, spread evenly over ``ids``."""
        places = np.linspace(0, len(ids) - 1, min(PEEKED, len(ids))).round().astype(int)
        for item in self._chosen(frozenset(ids[i] for i in places)):
            try:
                yield size_of(_loaded(item))
            except Unreadable:
                continue

    def _pieces(self, size: int, ids: frozenset[str] | None) -> Iterator[Batch]:
        formats()  # Pillow's formats are loaded here, not by several threads at once
        # At most two batches ahead, and never more than keeps the threads busy.
        ahead = max(self._workers + 1, min(2 * size // CHUNK, 8 * self._workers))
        chunks = _chunks(self._chosen(ids))
        first = next(chunks, [])
        # Of thumbnails, most of the work is Python's own: threads would only take turns.
        workers = 1 if _mean_size(first) < THUMBNAIL_BYTES else self._workers
        tasks = (chunk for chunk in chain([first], chunks))
        for piece, problems in ordered(self._decoded, tasks, workers, ahead):
            self._set_aside(problems)
            if piece is not None:
                yield piece

    def _decoded(
        self, items: list[Item], stop: threading.Event
    ) -> tuple[Batch | None, list[Skipped]]:
        """What could be decoded, and what could not."""
        ids, images, digests, problems = [], [], [], []
        for item in items:
            if stop.is_set():
                break
            try:
                with one_at_a_time(_size(item) > LARGE_BYTES):
                    content = _loaded(item)
                    image, digest = decode(content, self.canvas), digest_bytes(content)
            except Unreadable as error:
                problems.append(Skipped(item.id, str(error)))
            else:
                ids.append(item.id)
                images.append(image)
                digests.append(digest)
        if not ids:
            return None, problems
        group = np.array([self._group(id) for id in ids])
        columns = {"image": np.stack(images)}
        return Batch(np.array(ids), columns, group, np.array(digests, np.uint64)), problems


def parent(id: str) -> str:
    """The folder of an id, ``""`` at the top."""
    return id.rpartition("/")[0]


def folder_labels(ids: Iterable[str]) -> dict[str, str] | None:
    """The name of each image's folder; None unless there are at least two such names."""
    labels = {id: parent(id).rpartition("/")[2] for id in ids if "/" in id}
    return labels if len(set(labels.values())) > 1 else None


def _size(item: Item) -> int:
    if item.problem:
        raise Unreadable(item.problem)
    try:
        return item.size()
    except OSError as error:
        raise Unreadable(f"can't be opened: {error.strerror or error}") from None


def _loaded(item: Item) -> bytes:
    """The bytes of an item, unless there are absurdly many."""
    size = _size(item)
    if size > MOST_BYTES:
        raise Unreadable(f"too large: {size / 1e6:,.0f} MB, more than {MOST_BYTES // 10**6} MB")
    try:
        return item.load()
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror or error}") from None


def _mean_size(items: list[Item]) -> float:
    sizes = []
    for item in items:
        try:
            sizes.append(_size(item))
        except Unreadable:
            continue
    return sum(sizes) / max(len(sizes), 1)


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    held = 0
    for item in items:
        chunk.append(item)
        held += item.held
        if len(chunk) == CHUNK or held > CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
