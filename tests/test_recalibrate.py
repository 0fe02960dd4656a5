"""The label-free choice of views: what it must not be fooled by."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from stepwell import recalibrate
from stepwell.encoders import PatchEncoder
from stepwell.interfaces import Batch, concatenate, ignore
from stepwell.pretexts import TwoViews
from stepwell.recalibrate import as_asked, calibrate
from stepwell.sources import open_source


@pytest.fixture(scope="module")
def founders() -> Batch:
    """Handwritten digits."""
    images = (load_digits().images[:300] * 15).astype(np.uint8)
    return next(iter(open_source(images).batches(300)))


@pytest.fixture(scope="module")
def encoder(founders: Batch) -> PatchEncoder:
    return PatchEncoder("fast").fit(founders)


def chosen(encoder, founders, **options):
    return calibrate(encoder, TwoViews(), founders, seed=0, observe=ignore, **options)


def test_a_digit_in_the_mirror_is_no_digit(encoder, founders):
    found = chosen(encoder, founders)
    flip = next(row for row in found.rows if row["name"] == "flip")
    assert not flip["used"]
    assert found.encoder.mirror is False
    assert found.pretext.recipe


def test_copies_change_nothing(encoder, founders):
    twice = concatenate([founders, founders])
    one, two = chosen(encoder, founders), chosen(encoder, twice)
    assert one.rows == two.rows
    assert one.pretext.recipe == two.pretext.recipe


def test_views_that_were_asked_for_are_all_there_are(encoder):
    found = as_asked(encoder, TwoViews("rotation:30"))
    assert found.pretext.recipe == ("rotation:30",)
    assert found.encoder.mirror is False
    assert found.rows == []


def test_a_flip_that_was_asked_for_is_absorbed(encoder):
    found = as_asked(encoder, TwoViews(["flip", "rotation:30"]))
    assert found.encoder.mirror is True
    assert found.pretext.recipe == ("rotation:30",)  # a flip that changes nothing is not drawn
    assert [(row["name"], row["used"]) for row in found.rows] == [("flip", True)]
    assert as_asked(encoder, TwoViews("flip")).pretext.recipe == ("flip",)  # or there is no pair


def test_what_is_chosen_and_what_is_asked_for_give_the_same(encoder, founders):
    found = chosen(encoder, founders)
    names = [row["name"] for row in found.rows if row["used"]]
    asked = as_asked(encoder, TwoViews(names))
    assert asked.pretext.recipe == found.pretext.recipe
    assert asked.encoder.mirror == found.encoder.mirror


def test_a_mirror_that_was_asked_for_stays(founders):
    fixed = PatchEncoder("fast", mirror=True).fit(founders)
    found = chosen(fixed, founders)
    assert found.encoder is fixed
    assert "flip" not in [row["name"] for row in found.rows]


def test_where_nothing_can_be_told_the_gentlest_view_is_taken(encoder, founders, monkeypatch):
    monkeypatch.setattr(recalibrate, "TELLING", 1.1)
    assert chosen(encoder, founders).pretext.recipe == ("shift",)


def test_of_few_founders_nothing_is_chosen(encoder, founders):
    few = founders.take(slice(0, recalibrate.FEWEST - 1))
    found = chosen(encoder, few)
    assert [row["name"] for row in found.rows] == ["flip"]
    assert found.pretext.recipe == tuple(p for p in TwoViews().recipe if p != "flip")
