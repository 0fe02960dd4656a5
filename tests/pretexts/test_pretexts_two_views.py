"""``two_views``: an example and a changed view of it, whoever else is there."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.interfaces import Pretext, UsageError
from stepwell.pretexts import PRETEXTS, TwoViews
from stepwell.pretexts.two_views import FAMILIES
from stepwell.views import RECIPES, parse, render


def test_a_unit_is_an_example_and_its_view(digit_batch):
    some = digit_batch.take(slice(0, 9))
    (pairs,) = TwoViews("crop:0.5").pairs(some, seed=3)
    assert pairs.y is None
    assert len(pairs.x) == 18
    for unit in range(9):
        own, seen = np.flatnonzero(pairs.unit == unit)
        assert pairs.x.ids[own] == pairs.x.ids[seen] == some.ids[unit]
        np.testing.assert_array_equal(pairs.x.data["image"][own], some.data["image"][unit])
        assert np.abs(pairs.x.data["image"][seen] - some.data["image"][unit] * 1.0).max() > 1


def test_the_first_is_untouched_and_said_to_be(digit_batch):
    (pairs,) = TwoViews().pairs(digit_batch, seed=0)
    np.testing.assert_array_equal(pairs.x.ids[pairs.anchor], digit_batch.ids)
    images = pairs.x.data["image"][pairs.anchor]
    np.testing.assert_array_equal(images, digit_batch.data["image"])


def test_seed_and_epoch_draw_other_views(digit_batch):
    pretext, some = TwoViews(), digit_batch.take(slice(0, 20))
    first = pretext.changed(some, 0, 0).data["image"]
    np.testing.assert_array_equal(first, pretext.changed(some, 0, 0).data["image"])
    for other in (pretext.changed(some, 1, 0), pretext.changed(some, 0, 1)):
        assert np.abs(other.data["image"] - first).max() > 1


def test_several_recipes_are_one_chain(digit_batch):
    some = digit_batch.take(slice(0, 5))
    chain = TwoViews(("zoom", "noise:0.2"))
    expected = render(some, parse("zoom noise:0.2"), 4).data["image"]
    np.testing.assert_array_equal(chain.changed(some, 4).data["image"], expected)
    assert repr(chain) == "two_views(zoom + noise:0.2)"
    assert TwoViews("zoom").recipe == ("zoom",)


def test_what_is_written_down_makes_it_again():
    pretext = TwoViews(("zoom", "jitter"))
    again = TwoViews(list(pretext.recipe))
    assert [repr(v) for v in again.views] == [repr(v) for v in pretext.views]


def test_candidates_exist_and_come_the_strongest_first(digit_batch):
    found = TwoViews.candidates()
    assert set(found) == set(FAMILIES)
    assert all(name in RECIPES for names in FAMILIES.values() for name in names)
    assert TwoViews.gentlest in RECIPES
    for tries in found.values():
        moved = [
            np.abs(t.changed(digit_batch, 0).data["image"] - digit_batch.data["image"]).mean()
            for t in tries
        ]
        assert moved[0] == max(moved) > moved[-1]


@pytest.mark.parametrize("name", PRETEXTS)
def test_registered_pretexts_know_their_own_names(name):
    made = PRETEXTS[name]()
    assert name in (made.name, f"{made.name}:text")
    assert made.target in ("same", "other")
    assert all(isinstance(kind, str) for kind in made.kinds)
    assert all(hasattr(made, member) for member in ("pairs", *Pretext.__annotations__))


def test_a_misspelt_view_is_refused_when_the_pretext_is_made():
    with pytest.raises(UsageError, match="Did you mean 'zoom'"):
        TwoViews("zom")


def test_a_share_of_the_examples_has_partners_whatever_the_batch(digit_batch):
    whole = TwoViews("zoom", partners=0.4)
    (pairs,) = whole.pairs(digit_batch, 0)
    counts = np.bincount(pairs.unit, minlength=len(digit_batch))
    assert set(counts) == {1, 2}
    assert abs((counts == 2).mean() - 0.4) < 0.2
    alone = [next(whole.pairs(digit_batch.take(slice(i, i + 1)), 0)) for i in range(8)]
    assert [len(p.unit) for p in alone] == list(counts[:8])
    (none,) = TwoViews("zoom", partners=0.0).pairs(digit_batch, 0)
    assert len(none.unit) == len(digit_batch)
