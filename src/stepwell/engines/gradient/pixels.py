"""Decoded examples on disk: any of them at once, in memory that does not grow with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Observer, StepwellError, ignore
from stepwell.kit.files import write_json
from stepwell.kit.hashing import digest_bytes, keys
from stepwell.kit.texts import PAD

_INDEX, _READY = ("ids", "group", "digest"), "ready.json"
_ORDER = 0x0D3B
"""What distinguishes the draw of an order from others."""
ALIKE = 32
"""Batches that texts are sorted by length within."""


class Decoded:
    """All examples of a source, decoded once into one file a column.

    Parameters
    ----------
    folder : path
        Where the files go; whoever made it removes it.
    batches : iterable of Batch
    """

    def __init__(self, folder: Path, batches: Iterable[Batch], observe: Observer = ignore) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        parts: list[Batch] = []
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {}
        done = 0
        with ExitStack() as open_files:
            files: dict[str, Any] = {}
            for batch in batches:
                for name, column in batch.data.items():
                    column = np.ascontiguousarray(column)
                    if name not in files:
                        file = open_files.enter_context(open(folder / f"{name}.decoded", "wb"))
                        files[name], shapes[name] = file, (column.dtype, column.shape[1:])
                    files[name].write(column.tobytes())
                parts.append(batch.with_data())
                done += len(batch)
                observe("decode", {"done": done})
        if not parts:
            raise StepwellError("Expected examples that can be read, found none.")
        self._see(folder, _joined(parts), shapes)

    def _see(self, folder: Path, index: Batch, shapes: Mapping[str, Any]) -> None:
        self._index, self._shapes = index, shapes
        self._columns = {
            name: np.memmap(folder / f"{name}.decoded", dtype, "r", shape=(len(index), *shape))
            for name, (dtype, shape) in shapes.items()
        }
        self._drawn: tuple[tuple[int, ...], NDArray[np.intp]] | None = None
        self._sizes: NDArray[np.intp] | None = None
        if "tokens" in self._columns:
            self._sizes = sum((each != PAD).sum(1) for each in self._columns.values())

    def share(self, folder: Path) -> None:
        """Let other processes of this machine open what is in ``folder``."""
        index = {name: getattr(self._index, name) for name in _INDEX}
        np.savez(folder / "index.npz", allow_pickle=False, **index)
        shapes = {name: [str(kind), *shape] for name, (kind, shape) in self._shapes.items()}
        write_json(folder / _READY, {"shapes": shapes})

    @classmethod
    def shared(cls, folder: Path) -> Self:
        """What another process decodes into ``folder``; waited for."""
        while not (folder / _READY).is_file():
            time.sleep(0.1)
        told = json.loads((folder / _READY).read_text(encoding="utf-8"))["shapes"]
        shapes = {name: (np.dtype(kind), tuple(shape)) for name, (kind, *shape) in told.items()}
        with np.load(folder / "index.npz", allow_pickle=False) as known:
            ids, group, digest = (known[name] for name in _INDEX)
        found = cls.__new__(cls)
        found._see(folder, Batch(ids, {}, group, digest), shapes)
        return found

    @property
    def digest(self) -> str:
        """Of which examples there are, in which order."""
        names = "\0".join(map(str, self._index.ids)).encode("utf-8", "surrogatepass")
        high, low = digest_bytes(names + self._index.digest.tobytes())
        return f"{high:016x}{low:016x}"

    @property
    def digests(self) -> NDArray[np.uint64]:
        """(n, 2), of each example's content."""
        return self._index.digest

    def __len__(self) -> int:
        return len(self._index)

    def take(self, rows: NDArray[np.intp]) -> Batch:
        """The examples at rows, in that order."""
        batch = self._index.take(rows)
        return batch.with_data(**{k: np.asarray(v[rows]) for k, v in self._columns.items()})

    def rows_of(self, step: int, batch: int, seed: int) -> tuple[NDArray[np.intp], int]:
        """Rows of a step's batch, and its epoch.

        Every epoch has an order of its own, drawn by hash: a function of seed, epoch and batch
        alone, so that a place in it is one number. The last, incomplete batch is left out.
        """
        epoch, place = divmod(step, max(len(self) // batch, 1))
        if self._drawn is None or self._drawn[0] != (seed, epoch, batch):
            self._drawn = ((seed, epoch, batch), self._order(epoch, batch, seed))
        return self._drawn[1][place * batch : (place + 1) * batch], epoch

    def _order(self, epoch: int, batch: int, seed: int) -> NDArray[np.intp]:
        """All rows; texts with others that are about as long, so that little is filled up."""
        rank = keys(self._index.digest, seed, epoch, _ORDER)
        drawn = np.argsort(rank, kind="stable")
        if self._sizes is None or len(drawn) < 2 * batch:
            return drawn
        whole = drawn[: len(drawn) // batch * batch]
        for start in range(0, len(whole), ALIKE * batch):
            some = whole[start : start + ALIKE * batch]
            whole[start : start + len(some)] = some[np.argsort(self._sizes[some], kind="stable")]
        order = np.random.default_rng((seed, epoch, _ORDER)).permutation(len(whole) // batch)
        return np.asarray(whole.reshape(-1, batch)[order].ravel())


def _joined(parts: list[Batch]) -> Batch:
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in _INDEX)
    ids, group, digest = columns
    return Batch(ids, {}, group, digest)
