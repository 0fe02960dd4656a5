"""Ctrl-C and SIGTERM heard between two steps, where everything is whole."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self


class Stopping:
    """While it is entered, the first signal to stop sets ``asked``; a second one stops at once.

    In a thread other than the main one signals are left as they are.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def _heard(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heard) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
