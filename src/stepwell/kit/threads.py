"""All cores for work that releases the GIL, one BLAS thread each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


def in_blocks(work: Callable[[slice], T], n: int, size: int) -> list[T]:
    """``work(rows)`` for consecutive blocks of ≤ ``size`` of n rows, in order.

    Of no rows there is one empty block, whose result has the right shape.

    BLAS runs on one thread inside, so that every block gives the same bits however many
    threads there are.
    """
    blocks = [slice(start, min(start + size, n)) for start in range(0, max(n, 1), size)]
    with threadpool_limits(1, user_api="blas"):
        if len(blocks) <= 1 or cores() == 1:
            return [work(rows) for rows in blocks]
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(work, blocks))
