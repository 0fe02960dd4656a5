"""How pairs are made from unlabelled examples: one file a pretext."""

from __future__ import annotations

from typing import Any

from stepwell.pretexts.two_views import TwoViews

PRETEXTS: dict[str, Any] = {TwoViews.name: TwoViews}

__all__ = ["PRETEXTS", "TwoViews"]
