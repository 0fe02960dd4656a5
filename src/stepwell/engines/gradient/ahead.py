"""Work done ahead of who needs it, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
DEPTH = 3
_END = object()


class Ahead(Generic[T]):
    """``work(0)``, ``work(1)`` … made in a thread, at most :data:`DEPTH` before they are asked for.

    An error in ``work`` is raised where its result is asked for.
    """

    def __init__(self, work: Callable[[int], T], numbers: range) -> None:
        self._made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(DEPTH)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work, numbers), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[int], T], numbers: range) -> None:
        for number in numbers:
            try:
                found: tuple[T | None, BaseException | None] = (work(number), None)
            except BaseException as error:  # whatever it is belongs to the asker
                found = (None, error)
            while not self._stopped.is_set():
                try:
                    self._made.put(found, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if self._stopped.is_set() or found[1] is not None:
                return

    def next(self) -> T:
        """The next result, waited for."""
        result, error = self._made.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def close(self) -> None:
        """Stop working ahead."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Iterator[T]:
        return iter(self.next, _END)

    def __exit__(self, *_: object) -> None:
        self.close()
