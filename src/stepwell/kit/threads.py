"""All cores for work that releases the GIL, one BLAS thread each."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")


def cores() -> int:
    """Cores this process may use; ``STEPWELL_THREADS`` overrides."""
    wanted = os.environ.get("STEPWELL_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def blocks(
    work: Callable[[slice], T], n: int, size: int, threads: int | None = None
) -> Iterator[T]:
    """``work(rows)`` for consecutive blocks of ≤ ``size`` of n rows, in order.

    At most two blocks a core are ahead of the consumer. BLAS runs on one thread inside, so
    that every block gives the same bits however many threads there are. ``threads``:
    default, all cores; fewer where blocks of blocks run.
    """
    threads = threads or cores()
    rows = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    with threadpool_limits(1, user_api="blas"):
        if len(rows) <= 1 or threads == 1:
            yield from map(work, rows)
            return
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[Future[T]] = deque()
            for block in rows:
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, block))
            while waiting:
                yield waiting.popleft().result()


def in_blocks(work: Callable[[slice], T], n: int, size: int) -> list[T]:
    """:func:`blocks`, all of them."""
    return list(blocks(work, n, size))
