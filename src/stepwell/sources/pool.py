"""Work on all cores, a bounded distance ahead, results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


HELD_BYTES = 2**28
"""Memory that tasks under way may take, all together; a larger one is alone."""


def ordered(
    work: Callable[[T, threading.Event], R],
    tasks: Iterator[T],
    workers: int,
    ahead: int,
    weight: Callable[[T], int] = lambda task: 0,
) -> Iterator[R]:
    """``work(task, stop)`` of each task, in the order of the tasks.

    Threads suffice: decoding, hashing and unpacking all release the interpreter's lock.
    Tasks are drawn only as results are taken, so neither a long listing nor a slow
    consumer fills the memory.

    Parameters
    ----------
    work : callable
        Told by ``stop`` when nobody waits for its result any more.
    tasks : iterator
        Advanced in the caller's thread only.
    workers : int
    ahead : int
        Most tasks under way at a time.
    weight : callable
        Bytes that a task holds.
    """
    stop = threading.Event()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="stepwell-read")
    waiting: deque[tuple[Future[R], int]] = deque()
    held = 0
    try:
        with closing(tasks) as drawn:  # type: ignore[type-var]
            for task in drawn:
                own = weight(task)
                while waiting and held + own > HELD_BYTES:
                    done, its = waiting.popleft()
                    held -= its
                    yield done.result()
                waiting.append((pool.submit(work, task, stop), own))
                held += own
                del task  # else the last one would be held while the next is drawn
                # Not even the next is drawn before there is room: drawing may load it.
                while len(waiting) >= ahead or (waiting and held >= HELD_BYTES // 2):
                    done, its = waiting.popleft()
                    held -= its
                    yield done.result()
            while waiting:
                yield waiting.popleft()[0].result()
    finally:
        # Reached on the last result, an error, an interrupt and a closed generator alike.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
