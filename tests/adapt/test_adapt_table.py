"""Tables of labels as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.adapt import LabelTable, suspects
from stepwell.interfaces import UsageError


def write(path, *lines, encoding="utf-8"):
    path.write_bytes("\n".join(lines).encode(encoding) + b"\n")
    return path


def test_gaps_repeats_and_contradictions_are_set_aside_and_told(tmp_path):
    path = write(
        tmp_path / "l.csv",
        "file,label,note",
        "a,cat,",
        "b,,later",
        "c,dog,",
        "a, cat ,again",
        "d,dog",
        "d,cat",
        "e,Dog,",
        "",
        "f",
    )
    table = LabelTable.of(path)
    assert table.known == {"a": "cat", "c": "dog", "e": "Dog"}
    assert table.line == {"a": 2, "c": 4, "e": 8}
    left = table.left
    assert left.missing == [(3, "b"), (10, "f")]
    assert left.repeated == [(5, "a")]
    assert left.contradictory == [("d", [6, 7], ["dog", "cat"])]
    lines = "\n".join(left.lines())
    assert "2 rows have no label yet (line 3: b, line 10: f): left out" in lines
    assert "1 row says the same again (line 5: a)" in lines
    assert (
        "1 example has more than one label, none was believed: d: 'dog' or 'cat' (lines 6 and 7)"
        in lines
    )
    assert "classes 'dog' and 'Dog' differ in capitals" in lines
    assert bool(left)
    assert not LabelTable.of({"a": "x"}).left
    assert LabelTable.of({"a": 1, "b": None, "c": float("nan")}).known == {"a": "1"}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables_of_spreadsheets_of_all_countries_are_read(tmp_path, mark):
    lines = [
        mark.join(cells) for cells in (("Label", "File"), ("cat", "a b.jpg"), ("dog", "c.jpg"))
    ]
    path = write(tmp_path / "l.csv", *lines, encoding="utf-8-sig")
    assert LabelTable.of(path).known == {"a b.jpg": "cat", "c.jpg": "dog"}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["file,label", "a,cat", "b,c,d"], "2 cells in line 3 of .*, found 3"),
        (["file,label", ",cat"], "the name of a file in line 2 of .*, found none"),
        (["file,label", 'a,"cat'], "found in line 2: a quotation mark is opened and never closed"),
        (["file,label", 'a,"cat"s'], "found in line 2: "),
        (["image,kind", "a,cat"], "header file,label in line 1 of .*, found image,kind"),
        ([""], "found nothing"),
    ],
)
def test_what_is_no_table_is_refused_by_its_line(tmp_path, lines, told):
    with pytest.raises(UsageError, match=told):
        LabelTable.of(write(tmp_path / "l.csv", *lines))


def test_another_encoding_and_no_file_are_told(tmp_path):
    path = write(tmp_path / "l.csv", "file,label", "ä,cat", encoding="latin1")
    with pytest.raises(UsageError, match=r"UTF-8 in .*, found another encoding"):
        LabelTable.of(path)
    with pytest.raises(UsageError, match="found nothing there"):
        LabelTable.of(tmp_path / "none.csv")
    write(tmp_path / "l.tsv", "ID\tClass", "a\tcat, black")
    assert LabelTable.of(tmp_path / "l.tsv").known == {"a": "cat, black"}


def test_wrong_labels_are_suspected_the_most_doubtful_first():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 3, 300)
    shares = 0.1 + (0.4 + 0.4 * rng.random((300, 1))) * np.eye(3)[right]
    shares[[3, 50, 120]] = 0.01 + 0.9 * np.eye(3)[right[[3, 50, 120]]]
    shares /= shares.sum(1, keepdims=True)
    given = right.copy()
    wrong = np.array([3, 50, 120])
    given[wrong] = (given[wrong] + 1) % 3
    ids = [f"e{i}" for i in range(300)]
    rows = suspects(shares, given, ("a", "b", "c"), ids)
    assert {row["id"] for row in rows[:3]} == {"e3", "e50", "e120"}
    assert rows[0]["doubt"] >= rows[1]["doubt"] >= rows[2]["doubt"] > 0
    assert rows[0]["rather"] == "abc"[right[int(rows[0]["id"][1:])]]
    assert not suspects(shares, right, ("a", "b", "c"), ids)
