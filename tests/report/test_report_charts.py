"""Charts: numbers land where they should, and odd ones break nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from stepwell.report import charts, maps, wells
from stepwell.report.curves import curve


def whole(markup: str) -> ElementTree.Element:
    """Parsed as XML: every element closed, every attribute quoted."""
    return ElementTree.fromstring(f"<div>{markup}</div>")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9312, "0.93"),
        (71.2, "71.2"),
        (0.00123, "0.0012"),
        (1234.5, "1,234"),
        (-2, "−2"),
        (0, "0"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_figures(value: float | None, shown: str) -> None:
    assert charts.figure(value) == shown


@pytest.mark.parametrize(("low", "high"), [(0, 1), (31, 71.2), (-0.2, 0.9), (5, 5), (1e-6, 2e-6)])
def test_ticks_are_round_and_enclose(low: float, high: float) -> None:
    marks = charts.ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert 2 <= len(marks) <= 9
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


def test_bars_are_as_long_as_their_values() -> None:
    rows = [{"name": "a", "value": 80, "low": 78, "high": 82, "role": "ours"}]
    markup = charts.bars([*rows, {"name": "b", "value": 40}], "%")
    whole(markup)
    assert 'class="fill" x="0.00%" y="4" width="80.00%"' in markup
    assert 'x1="78.00%" x2="82.00%"' in markup
    assert "a: 80.0 %, interval 78.0 to 82.0" in markup
    assert 'class="bar ours"' in markup


def test_bars_of_odd_values() -> None:
    rows = [{"name": "<x>", "value": None}, {"name": "y", "value": -1.0}, {"name": "z", "value": 3}]
    markup = charts.bars(rows)
    whole(markup)
    assert "–" in markup
    assert 'x="0.00%" y="4" width="25.00%"' in markup  # from −1 up to the zero line
    assert 'x="25.00%" y="4" width="75.00%"' in markup


def test_curves_keep_gaps_and_name_every_line() -> None:
    lines = [{"name": "a", "role": "ours", "y": [1, None, 3]}, {"name": "b", "y": [2, 2, np.nan]}]
    markup = curve({"title": "t", "x": [1, 2, 3], "lines": lines})
    whole(markup)
    assert markup.count('<circle class="dot ours') == 2
    assert "a: 1 at 1, – at 2, 3 at 3" in markup
    assert "nan" not in markup.lower()


def test_names_at_the_ends_do_not_touch() -> None:
    lines = [{"name": str(i), "y": [1, 2 + i / 1000]} for i in range(8)]
    markup = curve({"title": "t", "x": ["a", "b"], "lines": lines})
    heights = sorted(float(y) for y in re.findall(r'class="end [^>]*y="([\d.]+)"', markup))
    assert len(heights) == 8
    assert min(np.diff(heights)) >= 16.9


def test_one_place_and_longer_lines() -> None:
    whole(curve({"title": "t", "x": ["only"], "lines": [{"name": "a", "y": [1, 2, 3]}]}))


def test_spectrum_steps_down() -> None:
    values = 0.9 / np.arange(1, 101)
    markup = wells.spectrum(values, noise=0.05, kept=64)
    whole(markup)
    path = re.search(r'class="tread" d="M0 100([^"]*)"', markup)
    assert path is not None
    heights = [float(y) for y in re.findall(r"V([\d.]+)", path[1])]
    assert len(heights) == 100
    assert heights == sorted(heights)
    assert "64 kept" in markup
    assert "noise level 0.05" in markup


@pytest.mark.parametrize(
    ("values", "noise", "kept"),
    [([], None, None), ([0.5], 0.1, 1), ([0.0, 0.0], 0.0, 0), ([0.2, -0.1, np.nan], 2.0, 99)],
)
def test_odd_spectra(values: list[float], noise: float | None, kept: int | None) -> None:
    whole(wells.spectrum(values, noise, kept))
    whole(wells.well(values, kept))


def test_the_well_narrows() -> None:
    markup = wells.well(0.9 / np.arange(1, 101))
    sides = [float(w) for w in re.findall(r'width="([\d.]+)" height', markup)]
    assert len(sides) > 8
    assert sides == sorted(sides, reverse=True)


def test_heat_maps_stay_small() -> None:
    markup = charts.heat(np.random.default_rng(0).random((16, 16)), "where")
    whole(markup)
    assert len(markup) < 6_000
    whole(charts.heat([[np.nan, 2.0], [-1.0, 0.5]], "odd"))
    whole(charts.heat([0.1, 0.9], "a row"))


def test_places_on_the_map() -> None:
    points = maps.place([0, 10, np.nan], [0, 5, 5])
    assert ((points > 0) & (points < 1)).all()
    assert points[0, 1] > points[1, 1]  # up is up
    assert maps.place([3.0], [4.0]).tolist() == [[0.5, 0.5]]


def test_thumbnails_do_not_overlap() -> None:
    points = maps.place(*np.random.default_rng(0).standard_normal((2, 800)))
    chosen = maps.spread(points, range(0, 800, 2))
    assert 20 < len(chosen) <= 70
    for least, size, picked in (
        (50, (920, 620), [i for i, _ in chosen]),
        (44, (320, 400), [i for i, narrow in chosen if narrow]),
    ):
        at = points[picked] * size
        apart = np.linalg.norm(at[:, None] - at[None], axis=-1) + 1e9 * np.eye(len(at))
        assert apart.min() >= least - 1e-6
    assert maps.spread(points, []) == []


def test_the_most_frequent_labels_get_colours() -> None:
    labels: list[str | None] = [f"{i:02}" for i in range(20) for _ in range(i + 1)]
    legend, colours = maps.colour_of([*labels, None])
    assert list(legend) == [f"{i:02}" for i in range(8, 20)]
    assert colours[0] == colours[-1] == 0
    assert max(colours) == maps.COLOURS
