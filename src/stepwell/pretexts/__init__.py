"""How pairs are made from unlabelled examples: one file a pretext."""

from __future__ import annotations

from typing import Any

from stepwell.pretexts.base import OnImages, classes, refuse_pairs
from stepwell.pretexts.clusters import Clusters
from stepwell.pretexts.missing import Missing
from stepwell.pretexts.multi_crop import MultiCrop
from stepwell.pretexts.neighbours import Neighbours
from stepwell.pretexts.order import Order
from stepwell.pretexts.texts import TextNeighbours, TextViews
from stepwell.pretexts.tokens import MissingTokens, Next, OrderTokens, Parallel
from stepwell.pretexts.transform import Transform
from stepwell.pretexts.two_views import TwoViews

PRETEXTS: dict[str, Any] = {
    made.name: made
    for made in (TwoViews, MultiCrop, Neighbours, Missing, Transform, Order, Clusters)
}
PRETEXTS |= {
    f"{made.name}:text": made for made in (TextViews, TextNeighbours, MissingTokens, OrderTokens)
}
PRETEXTS |= {made.name: made for made in (Next, Parallel)}
"""By name; those that mean the same on another kind of data, with its name behind a colon."""


def suited(pretext: Any, examples: int) -> Any:
    """The pretext set for so many examples, where it can be."""
    return pretext.suited(examples) if hasattr(pretext, "suited") else pretext


__all__ = ["PRETEXTS", "OnImages", "TwoViews", "classes", "refuse_pairs", "suited"]
