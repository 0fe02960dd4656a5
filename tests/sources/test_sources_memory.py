"""Things in memory: texts, images of any size, and what is neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepwell.interfaces import UsageError
from stepwell.sources import open_source


def shape(where):
    return next(open_source(where).batches(99)).data["image"].shape


def test_images_of_unequal_size_share_a_canvas():
    colour = [np.full((20 + i, 30, 3), i, np.uint8) for i in range(12)]
    assert shape(colour) == (12, 28, 28, 3)
    assert shape([np.ones((9 + i, 12)) for i in range(5)])[3] == 1
    assert (
        shape([np.zeros((3, 9 + i, 12), np.uint8) for i in range(5)])[3] == 3
    )  # as torch has them
    mixed = [np.zeros((10, 10), np.uint8), np.zeros((12, 10, 3), np.uint8)]
    assert shape(mixed)[3] == 3
    assert shape([Image.new("RGB", (9 + i, 9)) for i in range(4)])[0] == 4
    assert shape([[[0, 255], [255, 0]]] * 9) == (9, 8, 8, 1)


def test_what_is_among_them_is_named():
    for where, words in (
        ([np.zeros((8, 8, 3)), "x"], "str in row 1"),
        ([np.zeros((8, 8, 3)), np.zeros((8, 9, 7, 3))], "Expected images"),
        ([[1, 2], [3]], "Expected images"),
        ([np.zeros((8, 8, 7)), np.zeros((8, 9, 7))], "neither 1, 3 nor 4 channels"),
        ([{"image": 1}], "dict in row 0"),
        ({"a"}, "found set"),
        ((x for x in "ab"), "found generator"),
        ([], "Expected"),
    ):
        with pytest.raises(UsageError, match=words):
            open_source(where)


def test_names_of_files_are_no_texts(tmp_path):
    names = []
    for i in range(9):
        Image.new("RGB", (9, 9)).save(tmp_path / f"a red thing on a table {i}.png")
        names.append(str(tmp_path / f"a red thing on a table {i}.png"))
    for where in (names, tuple(names), np.array(names), [Path(name) for name in names]):
        with pytest.raises(UsageError, match=r"names of files.*give the folder"):
            open_source(where)
    assert open_source(names, kind="text").kind == "text"
    assert open_source(["a text about a.png and more"] * 3).kind == "text"


def test_halves_of_signs_are_replaced_and_counted():
    source = open_source(["half of one \ud83d here", "a whole one \U0001f600"])
    (batch,) = source.batches(5)
    assert batch.data["text"].tolist() == ["half of one \ufffd here", "a whole one \U0001f600"]
    assert source.mended == {"half a sign replaced by U+FFFD": 1}
