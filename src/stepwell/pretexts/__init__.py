"""How pairs are made from unlabelled examples: one file a pretext."""

from __future__ import annotations

from typing import Any

from stepwell.pretexts.two_views import TwoViews

PRETEXTS: dict[str, Any] = {TwoViews.name: TwoViews}


def suited(pretext: Any, examples: int) -> Any:
    """The pretext set for so many examples, where it can be."""
    return pretext.suited(examples) if hasattr(pretext, "suited") else pretext


__all__ = ["PRETEXTS", "TwoViews", "suited"]
