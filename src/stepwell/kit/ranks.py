"""Which of several processes this is, as torchrun tells it in the environment."""

from __future__ import annotations

import os


def rank() -> int:
    """Number of this process among all, from 0."""
    return int(os.environ.get("RANK", 0))


def ranks() -> int:
    """How many processes work together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def ranks_here() -> int:
    """How many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def machines() -> int:
    """How many machines they run on."""
    return max(1, ranks() // max(ranks_here(), 1))
