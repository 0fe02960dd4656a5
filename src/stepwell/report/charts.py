"""Charts as inline SVG: pure functions from numbers to markup.

Positions across are percentages and positions down are pixels, so that a chart fills any
width while its text keeps its size. Lines live in a nested ``<svg>`` of 100 × 100 units that
is stretched, with strokes that are not. Colours are CSS classes: dark mode needs no redraw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np


def finite(value: Any) -> float | None:
    """A float, or None for what can't be drawn: None, NaN, infinity."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def figure(value: Any) -> str:
    """One number for reading: two or three digits that mean something, no exponent."""
    number = finite(value)
    if number is None:
        return "–"
    size = abs(number)
    if number == int(number) or size >= 100:
        return fixed(number, 0)
    if size >= 0.01:
        return fixed(number, 1 if size >= 10 else 2)
    return fixed(number, min(1 - math.floor(math.log10(size)), 9))


def places(values: Iterable[float]) -> int:
    """Decimals that suit all values of a chart: about three digits of the largest."""
    largest = max(map(abs, values), default=0.0)
    return next((n for limit, n in ((1000, 0), (10, 1), (1, 2)) if largest >= limit), 3)


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals, so that a column lines up."""
    return "–" if value is None else f"{value:,.{decimals}f}".replace("-", "−")


def tick(value: float) -> str:
    """A round number as short as it is."""
    return f"{value:,.10g}".replace("-", "−")


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that enclose [low, high]: 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def opening(classes: str, label: str, height: int) -> str:
    """The start of a chart as wide as its place, named for those who can't see it."""
    said = escape(label)
    return (
        f'<svg class="{classes}" role="img" aria-label="{said}" width="100%" '
        f'height="{height}"><title>{said}</title>'
    )


def stretched(y: float, height: float, content: str) -> str:
    """A layer of 100 × 100 units over the full width, from ``y`` down."""
    return (
        f'<svg x="0" y="{y:g}" width="100%" height="{height:g}" viewBox="0 0 100 100" '
        f'preserveAspectRatio="none" overflow="visible">{content}</svg>'
    )


def bars(rows: Sequence[Mapping[str, Any]], unit: str = "") -> str:
    """Horizontal bars with the interval as a whisker, in the order given.

    Parameters
    ----------
    rows : sequence of mappings
        ``name``, ``value``; ``low``, ``high`` and ``role`` (ours, control, ladder, peer)
        may be missing.
    unit : str
        ``"%"`` …

    Returns
    -------
    str
        ``<ol>`` with one small ``<svg>`` per row; names are text, so that they can wrap.
    """
    seen = [finite(row.get(key)) for row in rows for key in ("value", "low", "high")]
    known = [value for value in seen if value is not None] or [0.0]
    low, high = min(0.0, *known), max(0.0, *known)
    if unit == "%" and high > 50:
        high = 100.0
    decimals = places(known)
    items = "".join(_bar(row, unit, low, (high - low) or 1.0, decimals) for row in rows)
    return f'<ol class="bars">{items}</ol>'


def _bar(row: Mapping[str, Any], unit: str, low: float, span: float, decimals: int) -> str:
    value, bottom, top = (finite(row.get(key)) for key in ("value", "low", "high"))
    name, role = escape(str(row["name"])), role_of(row)
    said = f"{row['name']}: {fixed(value, decimals)} {unit}"
    interval = whisker = fill = ""
    if value is not None:
        start, end = sorted(((0 - low) / span, (value - low) / span))
        fill = (
            f'<rect class="fill" x="{start:.2%}" y="4" width="{end - start:.2%}" '
            f'height="8" rx="1"/>'
        )
    if bottom is not None and top is not None:
        said += f", interval {fixed(bottom, decimals)} to {fixed(top, decimals)}"
        interval = f"<small>{fixed(bottom, decimals)} to {fixed(top, decimals)}</small>"
        left, right = (f"{(edge - low) / span:.2%}" for edge in (bottom, top))
        whisker = (
            f'<line class="whisker" x1="{left}" x2="{right}" y1="8" y2="8"/>'
            f'<line class="whisker" x1="{left}" x2="{left}" y1="4" y2="12"/>'
            f'<line class="whisker" x1="{right}" x2="{right}" y1="4" y2="12"/>'
        )
    return (
        f'<li class="bar {role}"><span class="bar-name">{name}</span>'
        f'<span class="bar-value">{interval}<b>{fixed(value, decimals)}</b></span>'
        f"{opening('bar-line', said, 16)}"
        f'<rect class="track" x="0" y="4" width="100%" height="8" rx="1"/>'
        f"{fill}{whisker}</svg></li>"
    )


def role_of(row: Mapping[str, Any]) -> str:
    """The row's role, where it is one that has a colour."""
    role = str(row.get("role") or "")
    return role if role in ("ours", "control", "ladder", "peer") else "control"


def meter(share: float, label: str) -> str:
    """A thin bar for one number in [0, 1]."""
    width = min(max(share, 0.0), 1.0)
    return (
        f'{opening("meter", label, 4)}<rect class="track" width="100%" height="4" rx="2"/>'
        f'<rect class="fill" width="{width:.1%}" height="4" rx="2"/></svg>'
    )


def heat(where: Any, label: str, levels: int = 8) -> str:
    """A small heat map: where in the example a dimension looks.

    Parameters
    ----------
    where : (rows, columns) float
        0 … 1; what isn't a number counts as 0.
    label : str
    levels : int
        Shades. Cells of one shade share a path, which keeps 16 × 16 maps small.
    """
    grid = np.nan_to_num(np.atleast_2d(np.asarray(where, np.float64)))
    shade = np.clip(np.rint(grid * levels), 0, levels).astype(int)
    rows, columns = shade.shape
    paths = ""
    for level in range(1, levels + 1):
        cells = "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(shade == level).tolist())
        if cells:
            paths += f'<path fill-opacity="{level / levels:.2f}" d="{cells}"/>'
    said = escape(label)
    return (
        f'<svg class="heat" role="img" aria-label="{said}" viewBox="0 0 {columns} {rows}" '
        f'preserveAspectRatio="none" shape-rendering="crispEdges"><title>{said}</title>'
        f"{paths}</svg>"
    )
