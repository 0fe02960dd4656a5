"""Plots over numeric axes: what was measured as lines, theory as dashes over it, and marks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from stepwell.report.charts import finite, opening, stretched, tick, ticks

_HEIGHT = 230  # px
_TOP = 24  # room for the numbers of marks
_COLOURS = 6
_LOW = 1e-12
_TOUCHING = 2.6
"""Numbers of marks that are this near, in hundredths of the width, would touch."""


class Axis:
    """Numbers to 0 … 100, linear or logarithmic, with its ticks."""

    def __init__(self, values: Sequence[float], log: bool, tight: bool = False) -> None:
        self.log = log
        known = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
        low, high = (self._scaled(edge) for edge in (min(known), max(known)))
        if log:
            first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
            every = max(1, math.ceil((last - first) / 8))
            self.marks = [10.0**power for power in range(first, last + 1, every)]
        else:
            slack = 0.01 * (high - low)  # a curve that ends at 1.0001 ends at 1
            self.marks = ticks(low + slack, high - slack)
        edges = [self._scaled(mark) for mark in self.marks]
        self._low = low if tight else min(low, edges[0])
        self._span = ((high if tight else max(high, edges[-1])) - self._low) or 1.0
        self.marks = [m for m in self.marks if -1e-6 <= self(m) <= 100 + 1e-6]

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, _LOW)) if self.log else value

    def __call__(self, value: float) -> float:
        return 100 * (self._scaled(value) - self._low) / self._span


def plot(chart: Mapping[str, Any]) -> str:
    """Lines and dots over two numeric axes.

    Parameters
    ----------
    chart : mapping
        ``lines``: each with ``x``, ``y`` (n,), ``name``, maybe ``kind`` ("measured",
        "theory", "dots", "faint") and ``colour``, an int: a measurement and its theory share one.
        ``x_label``, ``y_label``, ``title``, ``log_x``, ``log_y``; ``marks``: numbered places
        on x with ``x``, ``name`` (a number, or a range of them) and maybe ``colour``, that of
        the line they belong to.

    Returns
    -------
    str
        ``<svg>`` and a key to the kinds of lines where there is more than one kind.
    """
    log_x, log_y = bool(chart.get("log_x")), bool(chart.get("log_y"))
    cleaned = (_cleaned(line, log_x, log_y) for line in chart["lines"])
    lines = [line for line in cleaned if line["x"]]
    if not lines:
        return ""
    x = Axis([v for line in lines for v in line["x"]], log_x, tight=True)
    y = Axis([v for line in lines for v in line["y"]], log_y)
    # Theory is drawn over measurement.
    order = {"faint": 0, "measured": 1, "dots": 2, "theory": 3}
    drawn = sorted(lines, key=lambda line: order.get(line["kind"], 0))
    layer = stretched(_TOP, _HEIGHT, "".join(_path(line, x, y) for line in drawn))
    dots = "".join(_dots(line, x, y) for line in drawn if line["kind"] == "dots")
    label = f"{chart.get('title', '')}: {chart.get('y_label', '')} over {chart.get('x_label', '')}"
    return (
        f'<div class="plot">{opening("curve numeric", label, _TOP + _HEIGHT + 48)}'
        f"{_frame(x, y, str(chart.get('x_label') or ''))}{layer}{dots}"
        f"{_marks(chart.get('marks') or (), x)}</svg></div>{_key(lines)}"
    )


def _cleaned(line: Mapping[str, Any], log_x: bool, log_y: bool) -> dict[str, Any]:
    """A line without what its axes can't show."""
    pairs = [
        (a, b)
        for a, b in zip(map(finite, line["x"]), map(finite, line["y"]), strict=True)
        if a is not None and b is not None and (a > 0 or not log_x) and (b > 0 or not log_y)
    ]
    kind = str(line.get("kind") or "measured")
    return {
        "name": str(line.get("name", "")),
        "kind": kind,
        "colour": int(line.get("colour", 0)) % _COLOURS + 1,
        "x": [a for a, _ in pairs],
        "y": [b for _, b in pairs],
    }


def _path(line: Mapping[str, Any], x: Axis, y: Axis) -> str:
    if line["kind"] == "dots":
        return ""
    points = [(x(a), 100 - y(b)) for a, b in zip(line["x"], line["y"], strict=True)]
    text = " ".join(f"{a:.2f},{b:.2f}" for a, b in _thinned(points))
    return (
        f'<polyline class="line {line["kind"]} line-{line["colour"]}" points="{text}">'
        f"<title>{escape(line['name'])}</title></polyline>"
    )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without points that lie on the way between their neighbours: a page stays small."""
    if len(points) < 3:
        return points
    kept = [points[0]]
    for before, here in pairwise(points[1:]):
        (x0, y0), (x1, y1), (x2, y2) = kept[-1], before, here
        straight = y0 + (y2 - y0) * (x1 - x0) / (x2 - x0) if x2 > x0 else y1
        if abs(straight - y1) > 0.03:
            kept.append(before)
    return [*kept, points[-1]]


def _dots(line: Mapping[str, Any], x: Axis, y: Axis) -> str:
    return "".join(
        f'<circle class="dot line-{line["colour"]}" cx="{x(a):.2f}%" '
        f'cy="{_TOP + _HEIGHT * (1 - y(b) / 100):.1f}" r="3"><title>{escape(line["name"])}'
        f"</title></circle>"
        for a, b in zip(line["x"], line["y"], strict=True)
    )


def _frame(x: Axis, y: Axis, what: str) -> str:
    parts = []
    for mark in y.marks:
        at = _TOP + _HEIGHT * (1 - y(mark) / 100)
        parts.append(
            f'<line class="grid" x1="0" x2="100%" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="-8" y="{at + 4:.1f}" text-anchor="end">{_said(mark, y)}</text>'
        )
    foot = _TOP + _HEIGHT
    for mark in x.marks:
        parts.append(
            f'<text class="tick" x="{x(mark):.2f}%" y="{foot + 18}" text-anchor="middle">'
            f"{_said(mark, x)}</text>"
        )
    caption = f'<text class="axis" x="50%" y="{foot + 42}" text-anchor="middle">{escape(what)}'
    return "".join(parts) + caption + "</text>"


def _said(value: float, axis: Axis) -> str:
    if axis.log and not 1e-3 <= value <= 1e4:
        power = f"{math.log10(value):.0f}".replace("-", "−")
        return f'10<tspan class="power" dy="-5">{power}</tspan>'
    return tick(value)


def _marks(marks: Sequence[Mapping[str, Any]], x: Axis) -> str:
    """Numbered places along the top; those whose numbers would touch share one: ``3–5``."""
    placed = [(x(float(mark["x"])), mark) for mark in marks]
    placed = sorted((p for p in placed if 0 <= p[0] <= 100), key=lambda each: each[0])
    groups: list[list[tuple[float, Mapping[str, Any]]]] = []
    for at, mark in placed:
        if groups and at - groups[-1][-1][0] < _TOUCHING:
            groups[-1].append((at, mark))
        else:
            groups.append([(at, mark)])
    lines = [_mark_line(at, mark) for at, mark in placed]
    return "".join([*lines, *map(_mark_number, groups)])


def _mark_line(at: float, mark: Mapping[str, Any]) -> str:
    title = f"<title>{escape(str(mark.get('title', mark['name'])))}</title>"
    return (
        f'<line class="step-mark{_hue(mark)}" x1="{at:.2f}%" x2="{at:.2f}%" y1="{_TOP}" '
        f'y2="{_TOP + _HEIGHT}">{title}</line>'
    )


def _mark_number(group: Sequence[tuple[float, Mapping[str, Any]]]) -> str:
    middle = (group[0][0] + group[-1][0]) / 2
    numbers = [int(n) for _, mark in group for n in re.findall(r"\d+", str(mark["name"]))]
    name = str(group[0][1]["name"]) if len(group) == 1 else f"{min(numbers)}–{max(numbers)}"
    hue = _hue(group[0][1]) if len(group) == 1 else ""
    return (
        f'<text class="step-number{hue}" x="{middle:.2f}%" y="14" text-anchor="middle">'
        f"{escape(name)}</text>"
    )


def _hue(mark: Mapping[str, Any]) -> str:
    return f" line-{int(mark['colour']) % _COLOURS + 1}" if "colour" in mark else ""


def _key(lines: Sequence[Mapping[str, Any]]) -> str:
    words = {"measured": "measured", "dots": "measured", "theory": "theory"}
    kinds = {words[line["kind"]] for line in lines if line["kind"] in words}
    if len(kinds) < 2:
        return ""
    items = "".join(f'<li class="{kind}"><i></i>{kind}</li>' for kind in sorted(kinds))
    return f'<ul class="legend kinds">{items}</ul>'
