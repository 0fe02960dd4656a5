"""Pictures on the page: which kind each is, and a number to find it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from stepwell.report.charts import finite, fixed


@dataclass
class Shelf:
    """Numbers pictures by their markup, so that the map need not carry one a second time."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, html: str) -> int:
        """The picture's number; the same markup has the same number."""
        return self.numbers.setdefault(html, len(self.numbers))

    def picture(self, picture: Mapping[str, Any]) -> dict[str, Any]:
        """What the template needs of one picture."""
        html = str(picture.get("html", ""))
        score = finite(picture.get("score"))
        return {
            "html": Markup(html),  # trusted: made by pictures.py, which escapes
            "kind": kind_of(html),
            "id": str(picture.get("id", "")),
            "score": None if score is None else fixed(score, 2),
            "number": self.number(html),
        }

    def row(self, pictures: Iterable[Mapping[str, Any] | None] | None) -> dict[str, Any] | None:
        """Several pictures side by side; None for none. ``kind`` decides their grid."""
        shown = [self.picture(picture) for picture in pictures or () if picture]
        if not shown:
            return None
        kinds = {picture["kind"] for picture in shown}
        # Mixed pictures get the grid of the widest of them.
        kind = next(kind for kind in ("text", "series", "image", "tiny") if kind in kinds)
        return {"kind": kind, "pictures": shown}


def kind_of(html: str) -> str:
    """``tiny``, ``image``, ``series`` or ``text``."""
    start = html.lstrip()[:24].lower()
    if start.startswith("<img"):
        return "tiny" if 'class="tiny' in start else "image"
    return "series" if start.startswith("<svg") else "text"
