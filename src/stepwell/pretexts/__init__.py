"""How pairs are made from unlabelled examples: one file a pretext."""

from __future__ import annotations

from stepwell.interfaces import Pretext
from stepwell.pretexts.two_views import TwoViews

PRETEXTS: dict[str, type[Pretext]] = {TwoViews.name: TwoViews}

__all__ = ["PRETEXTS", "TwoViews"]
