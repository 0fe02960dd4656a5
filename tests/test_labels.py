"""Labels of files: whose they are, where names are written in other ways."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.interfaces import UsageError
from stepwell.labels import labels_of, matched, told
from stepwell.sources import open_source

IDS = ["cats/1.jpg", "cats/2.jpg", "dogs/2.jpg"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"data/cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"1.jpg": "cat", "2.jpg": "dog"}, {"cats/1.jpg": "cat"}),  # two are named 2.jpg
        # Another file of the same name, which was not learned from, is another file.
        ({"cats/1.jpg": "cat", "dogs/1.jpg": "dog"}, {"cats/1.jpg": "cat"}),
        ({"dogs/1.jpg": "dog", "cats/1.jpg": "cat"}, {"cats/1.jpg": "cat"}),
        ({"cats/1.jpg": "cat", "1.jpg": "dog"}, {"cats/1.jpg": "cat"}),
    ],
)
def test_whose_label_it_is(given, expected):
    assert matched(IDS, given, given)[0] == expected


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


def test_two_labels_for_one_file_are_refused():
    with pytest.raises(UsageError, match="two in a table, 'cat' and 'dog'"):
        matched(IDS, {"1.jpg": "cat", "data/cats/1.jpg": "dog"}, {})


def test_names_of_nothing_are_refused():
    with pytest.raises(UsageError, match=r"only others, .*, such as 'dogs/1\.jpg'"):
        matched(IDS, {"dogs/1.jpg": "dog"}, {})
