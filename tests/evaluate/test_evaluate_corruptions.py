"""Changes for the worse: stronger is worse, and the same example gets the same change."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.evaluate.corruptions import CORRUPTIONS, STRENGTHS, corruptions_of
from stepwell.interfaces import Batch
from stepwell.kit.hashing import digest_rows
from stepwell.kit.texts import column_of


def images(count=12):
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 256, (count, 4, 4, 3)), np.ones((1, 6, 6, 1)))
    ids = np.array([f"i{i}" for i in range(count)])
    data = {"image": smooth.astype(np.uint8)}
    return Batch(ids, data, ids, digest_rows(x.tobytes() for x in data["image"]))


def texts():
    told = ["a fine film that nobody has seen in a long time", "dull", "", "x y z one two three"]
    ids = np.array([f"t{i}" for i in range(len(told))])
    return Batch(ids, {"text": column_of(told)}, ids, digest_rows(t.encode() for t in told))


@pytest.mark.parametrize("name", CORRUPTIONS["image"])
def test_images_get_worse_step_by_step(name):
    batch, change = images(), CORRUPTIONS["image"][name]
    before = batch.data["image"].astype(float)
    worse = [change(batch, strength, 0).data["image"] for strength in range(STRENGTHS)]
    off = [np.square(each - before).mean() for each in worse]
    assert off == sorted(off)
    assert off[0] > 0
    assert all(each.dtype == np.uint8 and each.shape == before.shape for each in worse)
    few = change(batch.take(np.array([7, 3])), 2, 0).data["image"]
    assert np.array_equal(few, worse[2][[7, 3]])


@pytest.mark.parametrize("name", CORRUPTIONS["text"])
def test_texts_get_worse_step_by_step(name):
    batch, change = texts(), CORRUPTIONS["text"][name]
    worse = [[str(t) for t in change(batch, s, 0).data["text"]] for s in range(STRENGTHS)]
    assert worse[-1][0] != str(batch.data["text"][0])
    assert all(each[2] == "" and each[1] for each in worse)
    few = change(batch.take(np.array([3, 0])), 4, 0).data["text"]
    assert [str(t) for t in few] == [worse[4][3], worse[4][0]]
    if name == "words left out":
        sizes = [len(each[0].split()) for each in worse]
        assert sizes == sorted(sizes, reverse=True)


def test_other_kinds_have_none():
    assert not corruptions_of("series")
