"""Batches: the next one is made while the device is busy with the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from stepwell.interfaces import Seen

Shows = Callable[[int], Seen]
"""Number of a batch → what the network is shown of it; of this rank's examples."""


class Batches:
    """What ``shows`` makes of each number in turn.

    An accelerator works through what it was given while the host goes on. :meth:`prepare`, called
    then, has the next batch made beside it: in a stream of its own, where a device has streams,
    so that copying to it does not wait for all that went before. A thread would only compete with
    the one that gives the device its work.

    Parameters
    ----------
    shows : callable
    numbers : iterable of int
    device : torch.device
    """

    def __init__(self, shows: Shows, numbers: Iterable[int], device: torch.device) -> None:
        self._shows, self._numbers, self._device = shows, iter(numbers), device
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._made: Seen | None = None

    def prepare(self) -> None:
        """Make the next batch now, if there is one; on the CPU it can as well wait."""
        if self._device.type != "cpu" and self._made is None:
            self._made = self._next()

    def next(self) -> Seen:
        """The next batch."""
        made = self._made or self._next()
        self._made = None
        if made is None:
            raise StopIteration
        if self._stream is not None:
            self._hand_over(made)
        return made

    def _next(self) -> Seen | None:
        number = next(self._numbers, None)
        if number is None:
            return None
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            return self._shows(number)

    def _hand_over(self, made: Seen) -> None:
        """Let the device finish making it first, and keep its memory until it was used."""
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        for each in (*made.views, *made.told.values(), *(made.hidden or ()), *(made.whole or ())):
            if isinstance(each, Tensor):
                each.record_stream(current)
