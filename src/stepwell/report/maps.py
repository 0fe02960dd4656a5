"""The map: every example a point, and a spread-out few as pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

COLOURS = 12
"""Labels that get a colour of their own; the rest share one."""
_WIDE, _NARROW = (920.0, 620.0), (320.0, 400.0)  # px of the map on a desktop and on a phone
_APART_WIDE, _APART_NARROW = 50.0, 44.0  # between thumbnails, px
_MARGIN = 0.05


def place(x: Any, y: Any) -> F64:
    """Positions as shares of the map.

    Parameters
    ----------
    x, y : (n,) float
        Any units; what isn't finite lands in the middle.

    Returns
    -------
    (n, 2) float
        In [0, 1], down the page; a margin is left for the pictures at the edge.
    """
    both = np.stack([np.asarray(x, np.float64), -np.asarray(y, np.float64)], axis=1)
    both[~np.isfinite(both)] = np.nan
    if not len(both):
        return both
    known = np.where(np.isnan(both), 0.0, both)
    low, high = known.min(0), known.max(0)
    share = np.where(high > low, (both - low) / np.where(high > low, high - low, 1.0), 0.5)
    return _MARGIN + (1 - 2 * _MARGIN) * np.nan_to_num(share, nan=0.5)


def spread(points: F64, candidates: Sequence[int], most: int = 70) -> list[tuple[int, bool]]:
    """A few points far from each other, farthest first.

    Parameters
    ----------
    points : (n, 2) shares of the map
    candidates : indices of the points that have pictures
    most : int

    Returns
    -------
    list of (index, narrow)
        ``narrow``: there is room for it on a phone, too.

    Notes
    -----
    Farthest-point sampling (Gonzalez, 1985), from the point nearest to the middle.
    """
    index = np.asarray(candidates, np.intp)
    if not len(index):
        return []
    wide, narrow = points[index] * _WIDE, points[index] * _NARROW
    chosen: list[tuple[int, bool]] = []
    far, near = np.full(len(index), np.inf), np.full(len(index), np.inf)
    pick = int(((points[index] - 0.5) ** 2).sum(1).argmin())
    while len(chosen) < most and far[pick] >= _APART_WIDE:
        fits = bool(near[pick] >= _APART_NARROW)
        chosen.append((int(index[pick]), fits))
        far = np.minimum(far, np.linalg.norm(wide - wide[pick], axis=1))
        if fits:
            near = np.minimum(near, np.linalg.norm(narrow - narrow[pick], axis=1))
        pick = int(far.argmax())
    return chosen


def colour_of(labels: Sequence[str | None]) -> tuple[dict[str, int], list[int]]:
    """Which colour each label and each point has.

    Parameters
    ----------
    labels : (n,) str or None

    Returns
    -------
    legend : colour by label, in the labels' order
        The most frequent labels, 1 … 12.
    points : (n,) int
        0 where there is no label or its label has no colour of its own.
    """
    counts = Counter(label for label in labels if label is not None)
    shown = sorted(label for label, _ in counts.most_common(COLOURS))
    legend = {label: i for i, label in enumerate(shown, 1)}
    return legend, [legend.get(label, 0) if label is not None else 0 for label in labels]


def dots(points: F64, colours: Sequence[int], label: str) -> str:
    """The points as an ``<svg>`` that fills its place.

    Parameters
    ----------
    points : (n, 2) shares of the map
    colours : (n,) int
    label : str
        What the chart is, for those who can't see it.
    """
    groups: dict[int, list[str]] = {}
    for (x, y), colour in zip(points.tolist(), colours, strict=True):
        groups.setdefault(colour, []).append(f'<circle cx="{x:.2%}" cy="{y:.2%}" r="3"/>')
    drawn = "".join(
        f'<g class="colour-{colour}">{"".join(groups[colour])}</g>' for colour in sorted(groups)
    )
    said = escape(label)
    return (
        f'<svg class="dots" role="img" aria-label="{said}" width="100%" height="100%">'
        f"<title>{said}</title>{drawn}</svg>"
    )
