"""Tables of text as programs and people write them."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.interfaces import UsageError
from stepwell.kit import delimited
from stepwell.kit.delimited import NOTHING, Dialect, checked_delimiter, records

ROWS = [["text", "label"], *([f"word{i}, and more; here", "ab"[i % 2]] for i in range(20))]


def read(text, **known):
    lines = text.split("\n")
    lines = lines[:-1] if not lines[-1] else lines
    dialect = Dialect.of(lines, **known)
    return dialect, [*records(((line, "") for line in lines), dialect, 2)]


def cells(text, **known):
    return [row.cells for row in read(text, **known)[1] if not row.problem]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_what_parts_cells_is_found(mark, quoting):
    out = io.StringIO()
    csv.writer(out, delimiter=mark, quoting=quoting, lineterminator="\n").writerows(ROWS)
    assert cells(out.getvalue()) == ROWS
    assert cells(out.getvalue(), delimiter=mark) == ROWS


@given(
    st.lists(
        st.lists(st.text(alphabet='ab ",;\n|x', min_size=1), min_size=2, max_size=2),
        min_size=3,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_is_written_well_is_read_as_it_was(rows, mark):
    out = io.StringIO()
    csv.writer(out, delimiter=mark, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    lines = [(line, "") for line in out.getvalue().split("\n")[:-1]]
    found = [row.cells for row in records(lines, Dialect(mark))]
    assert found == rows


def test_excel_says_what_parts_cells():
    assert cells("sep=;\nText;Klasse\na, b;1\nc, d;0\n") == [
        ["Text", "Klasse"],
        ["a, b", "1"],
        ["c, d", "0"],
    ]


def test_a_single_column_keeps_its_commas():
    dialect, rows = read("review\nwarm, funny, long\nwell, no\n")
    assert dialect.delimiter == NOTHING
    assert [row.cells for row in rows] == [["review"], ["warm, funny, long"], ["well, no"]]


def test_spaces_around_quotes_and_backslashes_within():
    assert cells('file, label\n"a b.png", "round"\n"c.png" , "square"\n') == [
        ["file", "label"],
        ["a b.png", "round"],
        ["c.png", "square"],
    ]
    assert cells('text,label\n"he said \\"no, no\\" to me",1\n"x",0\n')[1] == [
        'he said "no, no" to me',
        "1",
    ]


@pytest.mark.parametrize("later", ["plain words,good", '"quoted, words",good'])
def test_an_open_quote_costs_its_own_row(later):
    rows = [later] * 60
    rows[20] = '"never closed and on it goes,good'
    _, found = read("\n".join(["text,label", *rows]))
    wrong = [row for row in found if row.problem]
    assert [(row.number, row.line) for row in wrong] == [(21, 22)]
    assert "never closed" in wrong[0].problem
    assert len(found) == 61
    assert found[-1].number == 60


def test_two_open_quotes_do_not_hide_what_is_between():
    rows = [f"plain words {i},good" for i in range(60)]
    rows[20], rows[40] = '"open,good', 'shut",good'
    _, found = read("\n".join(["text,label", *rows]))
    assert [row.number for row in found if row.problem] == [21]
    assert sum(not row.problem for row in found) == 60


def test_cells_of_several_lines_stay_whole():
    rows = "".join(f'"line {i}\n\nsecond, ""third""",a\n' for i in range(9))
    found = cells(f"text,label\n{rows}")
    assert found[1] == ['line 0\n\nsecond, "third"', "a"]
    assert len(found) == 10


def test_a_stray_quote_in_a_tsv_is_a_sign():
    rows = [f'"a film {i}"\t1' for i in range(30)]
    rows[3] = '"a stray one\t0'
    found = cells("\n".join(rows), tab=True)
    assert len(found) == 30
    assert found[3] == ['"a stray one', "0"]
    quoted = "".join(f'"one {i}\nmore"\tgood\n' for i in range(9))
    assert cells(f"text\tlabel\n{quoted}", tab=True)[1] == ["one 0\nmore", "good"]


def test_quotes_that_open_again_and_again_are_not_read_ever_again(monkeypatch):
    count, given = 0, delimited._Lines.__next__

    def counted(self):
        nonlocal count
        count += 1
        return given(self)

    monkeypatch.setattr(delimited._Lines, "__next__", counted)
    lines = ['"a', *['","b'] * 20_000]
    found = [*records(((line, "") for line in lines), Dialect(), 2)]
    assert all(row.problem for row in found[:-1])
    assert count < 2000 * len(lines)  # 200 million where each row looks as far ahead as it may


def test_numbers_of_rows_count_empty_ones():
    _, found = read("text,label\n\na b,1\n\n\nc d,0\n")
    assert [(row.number, row.line) for row in found] == [(0, 1), (2, 3), (5, 6)]


@pytest.mark.parametrize(
    ("mark", "sign"), [("tab", "\t"), ("pipe", "|"), (";", ";"), ("\\t", "\t")]
)
def test_signs_by_name(mark, sign):
    assert checked_delimiter(mark) == sign


@pytest.mark.parametrize("mark", ["", ",,", '"', "\n"])
def test_what_is_no_delimiter(mark):
    with pytest.raises(UsageError, match="single sign"):
        checked_delimiter(mark)
