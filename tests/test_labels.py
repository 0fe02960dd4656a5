"""Labels of files: whose they are, where names are written in other ways."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.interfaces import UsageError
from stepwell.labels import labels_of, told
from stepwell.sources import open_source

IDS = ["cats/1.jpg", "cats/2.jpg", "dogs/2.jpg"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"photos/cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"/home/me/photos/cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({r"C:\photos\cats\1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({r".\cats\1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"./cats//1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"1.jpg": "cat", "2.jpg": "dog"}, {"cats/1.jpg": "cat"}),  # two are named 2.jpg
        # Another file of the same name, which was not learned from, is another file.
        ({"cats/1.jpg": "cat", "dogs/1.jpg": "dog"}, {"cats/1.jpg": "cat"}),
        ({"dogs/1.jpg": "dog", "cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"test/cats/1.jpg": "dog", "cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        # The same file by two names is one that is labelled twice.
        ({"cats/1.jpg": "cat", "1.jpg": "cat", "cats/2.jpg": "cat"}, dict.fromkeys(IDS[:2], "cat")),
        ({"cats/1.jpg": "cat", "1.jpg": "dog", "cats/2.jpg": "cat"}, {"cats/2.jpg": "cat"}),
    ],
)
def test_whose_label_it_is(given, expected):
    assert told(IDS, given, "/data/photos")[0] == expected


def test_a_name_as_it_is_written_comes_first():
    assert told([r"a\b.jpg", "a/b.jpg"], {r"a\b.jpg": "x", "a/b.jpg": "y"})[0] == {
        r"a\b.jpg": "x",
        "a/b.jpg": "y",
    }


def test_folders_that_were_not_learned_from_are_others():
    ids = [f"{i}.png" for i in range(30)]
    table = {f"test/{i}.png": "square" for i in range(20)}
    table |= {f"train/{i}.png": "round" for i in range(20, 30)}
    known, left = told(ids, table, "/data/train")
    assert len(known) == 10
    assert set(known.values()) == {"round"}
    assert len(left.unknown) == 20
    with pytest.raises(UsageError, match=r"All of them are in images/.*take that off"):
        told(ids, {f"images/{i}.png": "x" for i in range(30)}, "/data/train")
    assert len(told(ids, {f"pics/{i}.png": "x" for i in range(30)}, "/data/pics.tar.gz")[0]) == 30
    assert len(told(["t.csv#row=1"], {"data/t.csv#row=1": "x"}, "/some/data/t.csv")[0]) == 1


def test_contradictions_in_other_spellings_are_found():
    table = {"cats/1.jpg": "cat", r"cats\1.jpg": "dog", "cats/2.jpg": "cat", "./cats/2.jpg": "cat"}
    known, left = told(IDS, table)
    assert known == {"cats/2.jpg": "cat"}
    assert left.contradictory == [("cats/1.jpg", [1, 2], ["cat", "dog"])]
    assert left.repeated == [(4, "./cats/2.jpg")]
    assert not left.unknown
    with pytest.raises(UsageError, match="none to believe"):
        told(IDS, {"cats/1.jpg": "cat", "1.jpg": "dog"})


@pytest.mark.parametrize("name", ["nan", "None", "NA", "null", "NaN", "N/A", "-"])
def test_words_are_classes_whatever_they_are(tmp_path, name):
    for folder in (name.replace("/", ""), "yue"):
        (tmp_path / folder).mkdir()
        for i in range(3):
            (tmp_path / folder / f"{i}.txt").write_text(f"some words of {folder} {i}")
    source = open_source(tmp_path)
    assert set(labels_of(tmp_path, source, [])[1].values()) == {name.replace("/", ""), "yue"}
    (tmp_path / "l.csv").write_text(f"file,label\n1.jpg,{name}\ndogs/2.jpg,\n")
    known, left = told(IDS, tmp_path / "l.csv")
    assert known == {"cats/1.jpg": name}
    assert [file for _, file in left.missing] == ["dogs/2.jpg"]
    (tmp_path / "t.csv").write_text(f"text,label\na b c,{name}\nd e f,x\ng h i,\n")
    assert set(open_source(tmp_path / "t.csv").labels().values()) == {name, "x"}


def test_what_is_missing_in_python_is_no_label():
    class Missing:
        def __ne__(self, other):
            return self

        def __bool__(self):
            raise TypeError("ambiguous")

    given = {"cats/1.jpg": float("nan"), "cats/2.jpg": None, "dogs/2.jpg": "nan"}
    known, left = told([*IDS, "x"], given | {"x": Missing()})
    assert known == {"dogs/2.jpg": "nan"}
    assert len(left.missing) == 3


def test_a_name_of_several_is_told_apart_from_one_of_none():
    known, left = told(IDS, {"1.jpg": "cat", "2.jpg": "dog", "birds/2.jpg": "bird", "x.jpg": "dog"})
    assert known == {"cats/1.jpg": "cat"}
    assert [file for _, file in left.several] == ["2.jpg"]
    assert [file for _, file in left.unknown] == ["birds/2.jpg", "x.jpg"]
    assert "1 row names several examples (line 2: 2.jpg)" in "".join(left.lines())


def test_names_are_the_same_however_their_accents_are_written():
    parted, whole = "cafe\u0301.jpg", "caf\u00e9.jpg"
    for id, name in ((parted, whole), (whole, parted)):
        known, left = told([id, "b"], {name: "cup"})
        assert known == {id: "cup"}
        assert not left.unknown


def test_labels_that_are_no_number_are_none(tmp_path):
    images, labels = np.zeros((4, 8, 8), np.uint8), np.array([0.0, 1.0, np.nan, 1.0])
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    assert set(labels_of(tmp_path / "a.npz", open_source(tmp_path / "a.npz"), [])[1].values()) == {
        "0.0",
        "1.0",
    }


def test_names_of_nothing_are_refused():
    with pytest.raises(UsageError, match=r"only others, .*, such as 'dogs/1\.jpg'"):
        told(IDS, {"dogs/1.jpg": "dog"})
