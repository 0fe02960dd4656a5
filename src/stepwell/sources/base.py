"""What every source shares: exact batches, and what was set aside and why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from stepwell.interfaces import Batch, Skipped, StepwellError, UsageError, concatenate
from stepwell.kit.hashing import digest_rows
from stepwell.kit.texts import column_of
from stepwell.kit.threads import cores

LONGEST = 1_000_000
"""Characters of an example; longer ones are set aside."""


class BatchedSource(ABC):
    """Examples in batches of a size; see :class:`stepwell.interfaces.Source`.

    Parameters
    ----------
    path : Path or None
        Where it is; None for arrays in memory.
    name : str
        Short name to show.
    strict : bool
        Raise at the first example that can't be read, instead of setting it aside.
    workers : int, optional
        Threads that decode; default: all cores. Changes nothing but the time.
    """

    kind: ClassVar[str]

    def __init__(self, path: Path | None, name: str, strict: bool, workers: int | None) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"Expected workers of at least 1, found {workers}.")
        self.path = path
        self.name = name
        self.skipped: list[Skipped] = []
        self.options: dict[str, Any] = {}
        self._strict = strict
        self._workers = workers or cores()

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.options.items())
        return f"{type(self).__name__}({self.name!r}, {settings})"

    @abstractmethod
    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every example, in source order; nothing is decoded."""

    @abstractmethod
    def _pieces(self, size: int, ids: frozenset[str] | None) -> Iterator[Batch]:
        """Batches of any length, in source order."""

    def labels(self) -> dict[str, str] | None:
        """Label of each id, for evaluation only; None where the source has none."""
        return None

    def batches(self, size: int, *, ids: Collection[str] | None = None) -> Iterator[Batch]:
        """Batches of exactly ``size`` examples (the last may be smaller), in source order.

        Parameters
        ----------
        size : int
        ids : collection of str, optional
            Read only these; others are not even opened.

        Yields
        ------
        Batch
            What can't be read leaves no hole: it is listed in ``skipped``, which starts anew
            with every pass over all examples.

        Raises
        ------
        StepwellError
            With ``strict``, for the first example that can't be read.
        """
        if size < 1:
            raise UsageError(f"Expected batches of at least 1 example, found size {size}.")
        return self._batches(size, None if ids is None else frozenset(map(str, ids)))

    def _batches(self, size: int, ids: frozenset[str] | None) -> Iterator[Batch]:
        if ids is None:
            self.skipped = []
        held: list[Batch] = []
        count = 0
        with closing(self._pieces(size, ids)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                held.append(piece)
                count += len(piece)
                while count >= size:
                    whole = concatenate(held)
                    yield whole.take(slice(0, size))
                    count -= size
                    held = [whole.take(slice(size, None))] if count else []
        if count:
            yield concatenate(held)

    def _set_aside(self, problems: Collection[Skipped]) -> None:
        """Note what could not be read; a second look at the same example adds nothing."""
        if not problems:
            return
        if self._strict:
            first = next(iter(problems))
            raise StepwellError(
                f"Expected {self.kind}s that can be read, found {first.id!r}: {first.reason}. "
                f"Mend or remove it, or read without strict to set such files aside."
            )
        known = {skipped.id for skipped in self.skipped}
        self.skipped += [problem for problem in problems if problem.id not in known]


class WrittenSource(BatchedSource):
    """Texts: ``text`` (n,) of objects, and other columns beside it."""

    kind = "text"
    longest = LONGEST

    @abstractmethod
    def _rows(self, ids: frozenset[str] | None) -> Iterator[tuple[str, Mapping[str, str], str]]:
        """(id, columns, what is wrong with them) of each example, or only of ``ids``."""

    def _pieces(self, size: int, ids: frozenset[str] | None) -> Iterator[Batch]:
        held: list[tuple[str, Mapping[str, str]]] = []
        for id, columns, problem in self._rows(ids):
            if not problem and (longest := max(map(len, columns.values()))) > self.longest:
                problem = f"{longest:,} characters; at most {self.longest:,} are read"
            if problem:
                self._set_aside([Skipped(id, problem)])
                continue
            held.append((id, columns))
            if len(held) == size:
                yield written(held)
                held = []
        if held:
            yield written(held)


def written(held: Sequence[tuple[str, Mapping[str, str]]]) -> Batch:
    """A batch of (id, columns)."""
    ids = np.array([id for id, _ in held])
    columns = {name: column_of([row[name] for _, row in held]) for name in held[0][1]}
    joined = ("\0".join(row.values()).encode("utf-8", "surrogatepass") for _, row in held)
    return Batch(ids, columns, ids, digest_rows(joined))


class ImageSource(BatchedSource):
    """Images: ``image`` (n, canvas, canvas, c) uint8, of one square size."""

    kind = "image"
