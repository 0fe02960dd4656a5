"""What encoders with a network share: copies of it, and twins with random weights."""

from __future__ import annotations

from typing import Any, Self


class Copies:
    """An encoder with a ``module`` on a ``device``, of which ``_twin`` makes another with random
    weights."""

    device: str
    module: Any

    def _twin(self, seed: int, device: str) -> Self:
        raise NotImplementedError

    def randomised(self, seed: int) -> Self:
        """The same network with random weights: a control."""
        return self._twin(seed, self.device)

    def copied(self) -> Self:
        """The same network with weights of its own."""
        return self.on(self.device)

    def on(self, device: str) -> Self:
        """A copy on another device."""
        twin = self._twin(0, device)
        twin.module.load_state_dict(self.module.state_dict())
        return twin
