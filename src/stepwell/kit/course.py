"""How rates fall."""

from __future__ import annotations

from math import cos, pi


def fallen(share: float) -> float:
    """What is left of a rate after a share of its way down: a cosine from 1 to 0."""
    return (1 + cos(pi * min(max(share, 0.0), 1.0))) / 2
