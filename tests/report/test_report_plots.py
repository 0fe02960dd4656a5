"""Plots over numeric axes, and the page of theory."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from stepwell.report import render_theory
from stepwell.report.plots import Axis, plot


def svg(markup: str) -> ElementTree.Element:
    start, end = markup.index("<svg"), markup.rindex("</svg>") + 6
    return ElementTree.fromstring(markup[start:end])


def chart(**more):
    x = np.geomspace(1, 1e4, 50)
    lines = [
        {"name": "seen", "x": x, "y": 1 / (1 + 100 / x), "colour": 0},
        {"name": "said", "x": x, "y": 1 / (1 + 100 / x), "colour": 0, "kind": "theory"},
    ]
    return {
        "title": "A <b>",
        "x_label": "step",
        "y_label": "e",
        "log_x": True,
        "lines": lines,
    } | more


def test_axes_enclose_their_values():
    linear = Axis([0.0, 0.2, 1.0001], log=False)
    assert [linear(mark) for mark in (0.0, 1.0)] == pytest.approx([0, 100], abs=0.02)
    log = Axis([3.0, 5000.0], log=True)
    assert log.marks == [1, 10, 100, 1000, 10000]
    assert log(100.0) == pytest.approx(50)


def test_theory_is_drawn_over_measurement():
    markup = plot(chart())
    assert svg(markup) is not None
    assert markup.index("line measured") < markup.index("line theory")
    assert "kinds" in markup  # the key says which is which


def test_one_kind_of_line_needs_no_key():
    markup = plot(chart(lines=chart()["lines"][:1]))
    assert "kinds" not in markup


def test_what_can_not_be_drawn_is_left_out():
    odd = {"name": "odd", "x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, np.nan, np.inf, 2.0]}
    assert "<svg" in plot(chart(lines=[odd]))
    assert plot(chart(lines=[])) == ""
    assert plot(chart(lines=[{"name": "none", "x": [0.0], "y": [1.0]}])) == ""


def test_marks_are_numbered_where_there_is_room():
    marks = [{"x": 10.0, "name": 1}, {"x": 10.1, "name": 2}, {"x": 1000.0, "name": 3}]
    markup = plot(chart(marks=marks))
    assert markup.count('class="step-mark"') == 3
    numbers = [text.text for text in svg(markup).iter() if text.get("class") == "step-number"]
    assert numbers == ["1–2", "3"]  # those that would touch share a label


def test_words_stay_words():
    assert "<b>" not in plot(chart()).replace("A &lt;b&gt;", "")


def test_the_page_of_theory_holds_its_figures():
    figure = {"id": "a", "title": "T", "text": "words", "charts": [chart()]}
    table = [["dimension", "step"], ["1", "148"]]
    page = render_theory(
        {
            "title": "Steps",
            "lead": ["Theory over measurement."],
            "version": "1",
            "created": "today",
            "warnings": ["Figure (f) was not drawn."],
            "figures": [figure | {"table": table}, figure | {"id": "b"}],
        }
    )
    for words in ("(a) T", "(b) T", "148", "Figure (f) was not drawn.", "Theory over measurement."):
        assert words in page
    assert "http://" not in page
    assert "https://" not in page
