"""Features to small integers, so that their sums are exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import array_namespace

from stepwell.kit.schema import Schema, Table, number

LEVELS = 63
"""Codes lie in -63 … 63. Seven bits, not eight: a float32 product of rows that are sums of
V views is exact while (V·LEVELS)² x rows < 2²⁴: 1,056 pairs at a time instead of 260."""
SPAN = 4.0
"""Standard deviations from the mean to the last level."""


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Centre, scale and round features; fitted on founders, then frozen.

    Attributes
    ----------
    mean : (d,) float32
    scale : float
        Feature units of one level; one for all dimensions, so that angles stay.
    """

    mean: Any
    scale: float

    @classmethod
    def fit(cls, features: Any) -> Self:
        """From (n, d) founder features."""
        features = np.asarray(features)
        spread = float(np.sqrt(features.var(0, dtype=np.float64).mean()))
        mean = features.mean(0, dtype=np.float64).astype(np.float32)
        return cls(mean, max(spread, 1e-12) * SPAN / LEVELS)

    def __call__(self, features: Any) -> Any:
        """(n, d) features → (n, d) int8 codes."""
        xp = array_namespace(features)
        levels = xp.round((features - self.mean) * (1 / self.scale))
        return xp.astype(xp.clip(levels, -LEVELS, LEVELS), xp.int8)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays."""
        return {"scale": self.scale}, {"mean": self.mean}

    schema: ClassVar[Schema] = Schema(
        {"scale": number(1e-30)}, {"mean": Table("f", ("d",), -1e15, 1e15)}
    )

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        return cls(arrays["mean"], float(settings["scale"]))
