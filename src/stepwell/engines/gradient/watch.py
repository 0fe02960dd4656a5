"""What goes wrong in training, seen early: pure judgement on numbers, without torch.

- *not finite*: loss or gradient is NaN or infinite.
- *too fast*: an update changes weights by a large share of themselves.
- *frozen*: updates change next to nothing while the rate says they should.
- *collapse*: projections of a batch are all alike, or lie along one direction.
- *too good*: the loss is where only a shortcut can bring it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

FAST = 0.15
"""Median relative change of a layer in one step above which a rate is too high. Measured at most,
AdamW: .01 (small convnet), .02 (ResNet-18); at a hundred times the rate .13 to .22."""
STILL, RUNNING = 1e-7, 0.05
"""… and below which, for the share of the rate, nothing is learned; asked while that is above
.05."""
ALIKE = 0.02
"""Share of the mean square of projections that is variance, below which they are all alike."""
SHRUNK = 0.03
"""Variance of projections relative to that at the start, below which they are too: without a
variance term VICReg's falls to .001, with it, it rises."""
RANK = 1.5
"""Effective rank of a batch's projections below which one direction is all there is."""
GOOD = 0.002
"""Share of the loss by chance below which it is too good to be true."""
PATIENCE = 3
"""Looks in a row that have to agree before anything but NaN is an alarm."""
GRACE = 5
"""Looks at the start at which small spread and rank are still those of the first weights."""


@dataclass(frozen=True)
class Look:
    """What is measured of one step.

    Attributes
    ----------
    step : int
    loss, norm : float
        Norm: of the gradient.
    chance : float
        Loss of an embedding that tells nothing apart; NaN where it is not known.
    pace : float
        The learning rate of the step, as a share of the highest.
    change : float
        Median relative change of the layers in this step; NaN where it is not measured.
    spread : float
        Variance of projections over the batch, as a share of their mean square.
    variance : float
        Mean variance of a projection.
    rank : float
        Effective rank of the batch's projections.
    """

    step: int
    loss: float
    norm: float = 0.0
    change: float = float("nan")
    spread: float = float("nan")
    variance: float = float("nan")
    rank: float = float("nan")
    chance: float = float("nan")
    pace: float = 1.0


@dataclass(frozen=True)
class Alarm:
    """What was seen, and in which numbers."""

    kind: str
    why: str


class Watch:
    """Judges one look after the other."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[bool]] = {}
        self._looks, self._variance = 0, 0.0

    def judge(self, look: Look) -> Alarm | None:
        """The alarm that a look completes, if it does."""
        if not isfinite(look.loss):
            return Alarm("not finite", f"loss {look.loss}")
        if not isfinite(look.norm):
            return Alarm("not finite", f"norm of the gradient {look.norm}")
        self._looks += 1
        if self._looks == 1:
            self._variance = look.variance
        for kind, found, why in self._signs(look):
            row = self._seen.setdefault(kind, deque(maxlen=PATIENCE))
            row.append(found)
            if len(row) == PATIENCE and all(row):
                self.forget()
                return Alarm(kind, why)
        return None

    @property
    def calm(self) -> bool:
        """Whether the last look showed no sign of anything."""
        return not any(row[-1] for row in self._seen.values())

    def forget(self) -> None:
        """Begin to count anew, after something was done."""
        self._seen.clear()
        self._looks = 1

    def state(self) -> dict[str, Any]:
        """What it remembers, as plain values."""
        seen = {kind: list(row) for kind, row in self._seen.items()}
        return {"seen": seen, "looks": self._looks, "variance": self._variance}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._seen = {kind: deque(row, maxlen=PATIENCE) for kind, row in state["seen"].items()}
        self._looks, self._variance = state["looks"], state["variance"]

    def _signs(self, look: Look) -> list[tuple[str, bool, str]]:
        settled = self._looks > GRACE
        shrunk = look.variance < SHRUNK * self._variance
        alike = settled and (look.spread < ALIKE or shrunk)
        flat = settled and look.rank < RANK
        good = look.chance > 0 and 0 <= look.loss < GOOD * look.chance
        return [
            ("too fast", look.change > FAST, f"layers change by {look.change:.0%} a step"),
            (
                "frozen",
                look.pace > RUNNING and look.change < STILL * look.pace,
                f"layers change by {look.change:.1e} a step",
            ),
            ("collapse", alike, f"projections vary by {look.spread:.1%} of their size"),
            ("collapse along one direction", flat, f"effective rank {look.rank:.2f}"),
            ("too good", settled and good, f"loss {look.loss:.2g}, chance {look.chance:.2g}"),
        ]


def spread_of(z: NDArray) -> tuple[float, float, float]:
    """Spread, variance and effective rank of (n, d) projections; see :class:`Look`."""
    z = np.asarray(z, np.float64)
    apart = z - z.mean(0)
    gram = apart @ apart.T if len(z) <= z.shape[1] else apart.T @ apart
    values = np.maximum(np.linalg.eigvalsh(gram), 0)
    variance = float(values.sum()) / z.size
    spread = variance / max(float(np.square(z).mean()), 1e-300)
    return spread, variance, effective_rank(values)


def effective_rank(values: NDArray) -> float:
    """e to the entropy of the shares of eigenvalues (Roy & Vetterli, EUSIPCO 2007)."""
    values = np.maximum(np.asarray(values, np.float64), 0)
    share = values[values > 0] / max(float(values.sum()), 1e-300)
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else 0.0
