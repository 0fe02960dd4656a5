"""The spectrum as a stepped well: from the side, with its water, and from above."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stepwell.report.charts import figure, finite, opening, stretched, tick, ticks

_HEIGHT = 280  # px
_TOP = 22  # room for the label of the kept mark
_RINGS = 13


def mark() -> str:
    """The sign of the house: four squares, each a step further down, water at the bottom."""
    squares = ((2, 2, 44), (8, 10, 32), (14, 18, 20), (20, 26, 8))
    rings = "".join(f'<rect x="{x}" y="{y}" width="{s}" height="{s}"/>' for x, y, s in squares)
    return f'<svg class="mark" viewBox="0 0 48 48" aria-hidden="true">{rings}</svg>'


def tone_sign(tone: str) -> str:
    """Four steps, as many of them filled as the verdict deserves."""
    filled = {"good": 4, "mixed": 2, "bad": 0}.get(tone, 0)
    steps = "".join(
        f'<rect class="{"full" if i < filled else "empty"}" x="{1 + 7 * i}" y="{1 + 4 * i}" '
        f'width="6" height="{17 - 4 * i}"/>'
        for i in range(4)
    )
    return f'<svg class="tone-sign" viewBox="0 0 29 19" aria-hidden="true">{steps}</svg>'


def spectrum(
    eigenvalues: Sequence[Any], noise: float | None = None, kept: int | None = None
) -> str:
    """Eigenvalues as steps down into a well whose water stands at the noise level.

    Parameters
    ----------
    eigenvalues : (k,) float, descending
        Drawn over a logarithmic axis of their rank, so that the first steps are wide.
    noise : float, optional
        What pairs of strangers reach.
    kept : int, optional
        How many dimensions the encoder has.

    Returns
    -------
    str
        ``<svg>``, or nothing where there is nothing to draw.
    """
    values = [value for value in map(finite, eigenvalues) if value is not None]
    if not values:
        return ""
    level, marks = finite(noise), ticks(0.0, max(*values, 1e-9, finite(noise) or 0.0), 5)
    top, n = marks[-1], len(values)

    def across(rank: float) -> float:
        return 100 * math.log(rank) / math.log(n + 1)

    def down(value: float) -> float:
        return 100 * (1 - min(max(value, 0.0), top) / top)

    edge = "".join(
        f"V{down(value):.2f}H{across(rank + 1):.2f}" for rank, value in enumerate(values, 1)
    )
    steps = f'<path class="stone" d="M0 100{edge}V100z"/><path class="tread" d="M0 100{edge}"/>'
    if kept is not None and 0 < kept < n:
        x = across(kept + 1)
        steps += f'<rect class="left-out" x="{x:.2f}" y="0" width="{100 - x:.2f}" height="100"/>'
    if level is not None and level > 0:
        y = down(level)
        steps += f'<rect class="water" x="0" y="{y:.2f}" width="100" height="{100 - y:.2f}"/>'
        steps += f'<path class="surface" d="M0 {y:.2f}H100"/>'
    label = f"{n} eigenvalues, from {figure(values[0])} down to {figure(values[-1])}"
    label += f"; noise level {figure(level)}" if level is not None else ""
    label += f"; {kept} kept" if kept is not None else ""
    defs = (
        '<defs><linearGradient id="depth"><stop class="shallow" offset="0"/>'
        '<stop class="deep" offset="1"/></linearGradient></defs>'
    )
    shares = [across(rank) for rank in range(1, n + 2)]
    return (
        f'<div class="plot">{opening("spectrum", label, _TOP + _HEIGHT + 46)}{defs}'
        f"{_grid(marks)}{stretched(_TOP, _HEIGHT, steps)}{_ranks(shares)}"
        f"{_kept(kept, shares)}{_noise(level)}</svg></div>"
    )


def _grid(marks: Sequence[float]) -> str:
    parts = []
    for value in marks:
        y = _TOP + _HEIGHT * (1 - value / marks[-1])
        parts.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="-8" y="{y + 4:.1f}" text-anchor="end">{tick(value)}</text>'
        )
    return "".join(parts)


def _ranks(shares: Sequence[float]) -> str:
    """Ranks 1, 2, 4, 8 … below the middle of their steps, and what the axis is."""
    y, parts = _TOP + _HEIGHT + 18, []
    rank, every = 1, 0
    while rank < len(shares):
        middle = (shares[rank - 1] + shares[rank]) / 2
        wide = " wide-only" if every % 2 else ""
        # A label in the last hundredth would stick out of the page.
        said = "" if middle > 98.5 else f"{rank:,}"
        parts.append(
            f'<text class="tick{wide}" x="{middle:.2f}%" y="{y}" text-anchor="middle">{said}</text>'
        )
        rank, every = rank * 2, every + 1
    caption = f'<text class="axis" x="100%" y="{y + 22}" text-anchor="end">dimension, log scale'
    return "".join(parts) + caption + "</text>"


def _kept(kept: int | None, shares: Sequence[float]) -> str:
    if kept is None or not 0 < kept < len(shares):
        return ""
    x = shares[kept]
    anchor = "end" if x > 50 else "start"
    return (
        f'<line class="kept" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{_TOP + _HEIGHT}"/>'
        f'<text class="kept-label" x="{x:.2f}%" dx="{-8 if x > 50 else 8}" y="11" '
        f'text-anchor="{anchor}">{kept:,} kept</text>'
    )


def _noise(level: float | None) -> str:
    """What the water means: below the chart, where no step can be in its way."""
    if level is None or level <= 0:
        return ""
    y = _TOP + _HEIGHT + 40
    return (
        f'<rect class="water" x="0" y="{y - 9}" width="18" height="9"/>'
        f'<line class="surface" x1="0" x2="18" y1="{y - 9}" y2="{y - 9}"/>'
        f'<text class="water-label" x="26" y="{y}">noise level {figure(level)}</text>'
    )


def well(eigenvalues: Sequence[Any], kept: int | None = None) -> str:
    """The run's own stepped well from above: a square per dimension 1, 2, 3, 4, 6, 8, 12 …

    Parameters
    ----------
    eigenvalues : (k,) float, descending
        A square is as wide as its eigenvalue, relative to the first.
    kept : int, optional
        Dimensions beyond it are not drawn.

    Returns
    -------
    str
        ``<svg>``, decorative but true; nothing for fewer than two dimensions.
    """
    values = [value for value in map(finite, eigenvalues) if value is not None and value > 0]
    values = values[: kept or None]
    ranks = _rank_ladder(len(values))[:_RINGS]
    if len(ranks) < 2:
        return ""
    size, squares = 300.0, []
    for i, rank in enumerate(ranks):
        side = size * min(values[rank - 1] / values[0], 1.0)
        x, y = (size - side) / 2, (size - side) * 0.62
        bottom = " bottom" if i == len(ranks) - 1 else ""
        squares.append(
            f'<rect class="ring{bottom}" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side:.1f}" '
            f'height="{side:.1f}"/>'
        )
    return f'<svg class="well" viewBox="0 0 302 302" aria-hidden="true">{"".join(squares)}</svg>'


def _rank_ladder(n: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24 … up to n."""
    ladder = {1, 2, 3} | {m * 2**i for i in range(20) for m in (2, 3)}
    return sorted(rank for rank in ladder if rank <= n)
