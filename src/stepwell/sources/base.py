"""What every source shares: exact batches, and what was set aside and why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from stepwell.interfaces import Batch, Row, Skipped, StepwellError, UsageError, concatenate
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

    Attributes
    ----------
    decisions : list of {"what", "value", "why"}
        What was chosen of how to read it, by the user or by what was found.
    passed : Counter
        Files that are no examples, by why.
    mended : Counter
        Examples of the last pass that were changed so that they can be used, by how.
    """

    kind: ClassVar[str]

    def __init__(self, path: Path | None, name: str, strict: bool, workers: int | None) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"Expected workers of at least 1, found {workers}.")
        self.path = path
        self.name = name
        self.skipped: list[Skipped] = []
        self.options: dict[str, Any] = {}
        self.decisions: list[Row] = []
        self.passed: Counter[str] = Counter()
        self.mended: Counter[str] = Counter()
        self._aside: set[str] = set()
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
            self.skipped, self.mended = [], Counter()
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

    def decided(self, what: str, value: Any, why: str) -> None:
        """Note what was chosen, and by what: shown to whoever asked for examples."""
        self.decisions.append({"what": what, "value": str(value), "why": why})

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
        if len(self._aside) != len(self.skipped):  # others may have changed the list
            self._aside = {skipped.id for skipped in self.skipped}
        new = {problem.id: problem for problem in problems if problem.id not in self._aside}
        self.skipped += new.values()
        self._aside |= new.keys()


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
                yield self._batch(held)
                held = []
        if held:
            yield self._batch(held)

    def _batch(self, held: Sequence[tuple[str, Mapping[str, str]]]) -> Batch:
        try:
            return written(held)
        except UnicodeEncodeError:
            valid = [(id, {n: self._valid(text) for n, text in row.items()}) for id, row in held]
            return written(valid)

    def _valid(self, text: str) -> str:
        """A text as Unicode allows it: halves of signs (lone surrogates, as JSON may have them)
        become U+FFFD, the sign for what can't be read."""
        try:
            text.encode()
        except UnicodeEncodeError:
            self.mended["half a sign replaced by U+FFFD"] += 1
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text


def written(held: Sequence[tuple[str, Mapping[str, str]]]) -> Batch:
    """A batch of (id, columns)."""
    ids = np.array([id for id, _ in held])
    columns = {name: column_of([row[name] for _, row in held]) for name in held[0][1]}
    joined = ("\0".join(row.values()).encode() for _, row in held)
    return Batch(ids, columns, ids, digest_rows(joined))


class ImageSource(BatchedSource):
    """Images: ``image`` (n, canvas, canvas, c) uint8, of one square size."""

    kind = "image"
