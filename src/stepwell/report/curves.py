"""Line charts: how a score moves over a few named places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from stepwell.report.charts import figure, finite, opening, role_of, stretched, tick, ticks

_HEIGHT = 230  # px
_COLOURS = 6


def curve(chart: Mapping[str, Any]) -> str:
    """Lines over named places, with bands for intervals.

    Parameters
    ----------
    chart : mapping
        ``x`` (n,) names, ``lines`` of ``name``, ``role``, ``y`` (n,), maybe ``low`` and
        ``high``; ``title``, ``x_label``, ``y_label``.

    Returns
    -------
    str
        ``<svg>`` and a legend, of which CSS shows one naming: at the lines' ends where there
        is room, below where there isn't.
    """
    names, lines = [str(x) for x in chart["x"]], list(chart["lines"])
    marks = ticks(*_extent(lines))
    across = [3 + 94 * i / max(len(names) - 1, 1) for i in range(len(names))]
    drawn = [_Line(line, i, marks, across) for i, line in enumerate(lines)]
    drawn.sort(key=lambda line: line.is_ours)  # ours last: on top
    frame = _frame(marks, list(zip(across, names, strict=True)), str(chart.get("x_label") or ""))
    layer = stretched(10, _HEIGHT, "".join(line.paths() for line in drawn))
    dots = "".join(line.dots() for line in drawn)
    said = "; ".join(line.said(names) for line in drawn)
    label = f"{chart.get('title', '')}: {chart.get('y_label', '')} by {chart.get('x_label', '')}"
    return (
        f'<div class="plot">{opening("curve", f"{label}. {said}", _HEIGHT + 62)}'
        f"{frame}{layer}{dots}{_ends(drawn)}</svg></div>{_legend(drawn)}"
    )


def _legend(lines: Sequence[_Line]) -> str:
    items = "".join(
        f'<li class="{line.classes}"><i></i>{escape(line.name)}</li>'
        for line in sorted(lines, key=lambda line: not line.is_ours)
    )
    return f'<ul class="legend" aria-hidden="true">{items}</ul>'


def _extent(lines: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    values = [
        number
        for line in lines
        for key in ("y", "low", "high")
        for number in map(finite, _list(line.get(key)))
        if number is not None
    ]
    return (min(values), max(values)) if values else (0.0, 1.0)


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _frame(marks: Sequence[float], places: Sequence[tuple[float, str]], what: str) -> str:
    """Grid lines with their numbers, the names along the foot, and what they name."""
    parts = []
    for mark in marks:
        y = 10 + _HEIGHT * (1 - (mark - marks[0]) / (marks[-1] - marks[0]))
        parts.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="-8" y="{y + 4:.1f}" text-anchor="end">{tick(mark)}</text>'
        )
    for x, name in places:
        parts.append(
            f'<text class="tick" x="{x:.2f}%" y="{_HEIGHT + 30}" text-anchor="middle">'
            f"{escape(name)}</text>"
        )
    parts.append(
        f'<text class="axis" x="50%" y="{_HEIGHT + 56}" text-anchor="middle">{escape(what)}</text>'
    )
    return "".join(parts)


class _Line:
    """One line of a curve chart, in the units of the stretched layer."""

    def __init__(
        self, line: Mapping[str, Any], index: int, marks: Sequence[float], across: list[float]
    ) -> None:
        self.name = str(line["name"])
        self.is_ours = role_of(line) == "ours"
        self.classes = f"{role_of(line)} line-{index % _COLOURS + 1}"
        self.values = [finite(value) for value in line["y"]][: len(across)]
        span = marks[-1] - marks[0]

        def points(key: str) -> list[tuple[float, float]]:
            numbers = map(finite, _list(line.get(key)))
            return [
                (x, 100 * (1 - (number - marks[0]) / span))
                for x, number in zip(across, numbers, strict=False)
                if number is not None
            ]

        self.middle, self.low, self.high = points("y"), points("low"), points("high")

    def paths(self) -> str:
        band = ""
        if self.low and self.high:
            edge = " ".join(f"{x:.2f},{y:.2f}" for x, y in self.high + self.low[::-1])
            band = f'<polygon class="band {self.classes}" points="{edge}"/>'
        line = " ".join(f"{x:.2f},{y:.2f}" for x, y in self.middle)
        return f'{band}<polyline class="line {self.classes}" points="{line}"/>'

    def dots(self) -> str:
        shown = [value for value in self.values if value is not None]
        return "".join(
            f'<circle class="dot {self.classes}" cx="{x:.2f}%" cy="{10 + y * _HEIGHT / 100:.1f}" '
            f'r="3"><title>{escape(self.name)}: {figure(value)}</title></circle>'
            for (x, y), value in zip(self.middle, shown, strict=True)
        )

    def said(self, names: Sequence[str]) -> str:
        pairs = zip(names, self.values, strict=False)
        return f"{self.name}: " + ", ".join(f"{figure(value)} at {name}" for name, value in pairs)


def _ends(lines: Sequence[_Line], apart: float = 17) -> str:
    """Names at the right ends, pushed apart where they would touch."""
    ends = [[10 + line.middle[-1][1] * _HEIGHT / 100, line] for line in lines if line.middle]
    return _labels(sorted(ends, key=lambda end: end[0]), apart)


def _labels(ends: list[list[Any]], apart: float) -> str:
    for before, after in pairwise(ends):
        after[0] = max(after[0], before[0] + apart)
    # What was pushed over the foot pushes back up.
    limit = float(_HEIGHT + 10)
    for end in reversed(ends):
        end[0] = limit = min(end[0], limit)
        limit -= apart
    return "".join(
        f'<text class="end {line.classes}" x="100%" dx="4" y="{y + 4:.1f}">'
        f"{escape(shortened(line.name, 30))}</text>"
        for y, line in ends
    )


def shortened(text: str, limit: int) -> str:
    """At most ``limit`` characters, the last one an ellipsis where some were cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
