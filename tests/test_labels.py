"""Labels of files: whose they are, where names are written in other ways."""

from __future__ import annotations

import pytest

from stepwell.interfaces import UsageError
from stepwell.labels import matched

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


def test_two_labels_for_one_file_are_refused():
    with pytest.raises(UsageError, match="two in a table, 'cat' and 'dog'"):
        matched(IDS, {"1.jpg": "cat", "data/cats/1.jpg": "dog"}, {})


def test_names_of_nothing_are_refused():
    with pytest.raises(UsageError, match=r"only others, such as 'dogs/1\.jpg'"):
        matched(IDS, {"dogs/1.jpg": "dog"}, {})
