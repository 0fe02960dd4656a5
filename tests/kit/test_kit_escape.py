"""What a terminal or a spreadsheet would do only shows."""

from __future__ import annotations

import json
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.kit.escape import for_json, for_spreadsheet, for_terminal, from_spreadsheet
from stepwell.kit.files import csv_text


@given(st.text())
def test_nothing_is_left_that_a_terminal_does(text):
    shown = for_terminal(text)
    assert {category(sign) for sign in shown if sign not in "\t\n"}.isdisjoint({"Cc", "Cs"})
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;OWNED\x07\x1b[2J", r"\x1b]0;OWNED\x07\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\r\x00b", r"a\r\x00b"),
        ("half \ud83d", r"half \ud83d"),
        ("größer 🙂 第三\tand\nmore", "größer 🙂 第三\tand\nmore"),
    ],
)
def test_escapes_show(text, shown):
    assert for_terminal(text) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_stays_the_same(text):
    assert json.loads(for_json(json.dumps({"x": text}, ensure_ascii=False))) == {"x": text}


@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(A1)", "-2+3+cmd", "+cmd", "\t=1", "＝1", "'=1", "''+x"]
)
def test_formulas_are_quoted_and_come_back(cell):
    quoted = for_spreadsheet(cell)
    assert quoted == f"'{cell}"
    assert from_spreadsheet(quoted) == cell


@pytest.mark.parametrize(
    "cell", ["-0.5", "+3", "1e-5", "-.5e3", "plain", "", "'quoted'", "a=b", 3, -1.5]
)
def test_numbers_and_words_stay(cell):
    assert for_spreadsheet(cell) == cell
    if isinstance(cell, str):
        assert from_spreadsheet(cell) == cell


@given(st.text(max_size=5))
def test_every_cell_comes_back(cell):
    assert from_spreadsheet(for_spreadsheet(cell)) == cell


def test_tables_are_quoted_unless_asked_not_to():
    assert csv_text(["file"], [["=1"], ["-2"]]) == "file\n'=1\n-2\n"
    assert csv_text(["file"], [["=1"]], raw=True) == "file\n=1\n"
