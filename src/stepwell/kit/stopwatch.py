"""What a run costs: wall and CPU seconds, peak memory, an estimate of energy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
WATTS_PER_CORE = 10.0
"""Assumed draw of one busy core: the energy figure is an estimate and says so."""


class Stopwatch:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._spent()

    @staticmethod
    def _spent() -> float:
        times = os.times()
        return times.user + times.system

    def wall(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._wall

    def facts(self) -> dict[str, Any]:
        """Seconds, CPU seconds, peak memory (MB), estimated energy (Wh)."""
        cpu = self._spent() - self._cpu
        return {
            "seconds": round(self.wall(), 2),
            "cpu_seconds": round(cpu, 2),
            "peak_mb": round(peak_memory(), 1),
            "energy_wh": round(cpu * WATTS_PER_CORE / 3600, 3),
        }


def peak_memory() -> float:
    """Largest resident size of this process so far, MB."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class waiting(Generic[T]):
    """Iterate, and know which share of the time went into waiting for the next item."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._waited, self._start = 0.0, time.perf_counter()

    def __iter__(self) -> Iterator[T]:
        items = iter(self._items)
        while True:
            begin = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waited += time.perf_counter() - begin
            yield item

    @property
    def share(self) -> float:
        """Share of the time spent waiting, 0 … 1."""
        return self._waited / max(time.perf_counter() - self._start, 1e-9)
