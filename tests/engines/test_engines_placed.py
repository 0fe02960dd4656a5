"""Moments by displacement, against what is written out for every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.engines import Choice, DenseMoments, PlacedMoments, solve
from stepwell.engines.placed import displaced

GRID = np.stack(np.divmod(np.arange(4), 2), 1)


def codes_of(units, width=6, seed=0):
    """(units * 4, width) int8 tiles, those on the right made of those on the left."""
    rng = np.random.default_rng(seed)
    tiles = rng.normal(0, 20, (units, 4, width))
    tiles[:, [1, 3], 0] = tiles[:, [0, 2], 1] + rng.normal(0, 5, (units, 2))
    tiles += np.arange(4)[:, None] * 3.0  # each place has a mean of its own
    return np.clip(tiles.round(), -127, 127).astype(np.int8)


def placed(tiles, order=slice(None)):
    """Their moments, of one call."""
    moments = PlacedMoments(tiles.shape[2], GRID)
    unit = np.repeat(np.arange(len(tiles)), 4)
    moments.add(tiles.reshape(-1, tiles.shape[2])[order], unit[order])
    return moments


def same(one, two):
    """Whether sums are equal, to the last bit."""
    assert one.units == two.units
    assert one.sums.keys() == two.sums.keys()
    return all(np.array_equal(one.sums[name], two.sums[name]) for name in one.sums)


def test_a_displacement_and_its_opposite_are_one():
    assert displaced(GRID) == {
        "0,1": [(0, 1), (2, 3)],
        "1,0": [(0, 2), (1, 3)],
        "1,1": [(0, 3)],
        "1,-1": [(1, 2)],
    }
    assert displaced(np.arange(3)[:, None]) == {"1": [(0, 1), (1, 2)], "2": [(0, 2)]}


@pytest.mark.parametrize("units", [7, 1500])
def test_sums_are_those_of_every_pair(units):
    tiles = codes_of(units)
    moments, whole = placed(tiles), tiles.astype(np.int64)
    np.testing.assert_array_equal(moments.sums["sum"], whole.sum(0))
    np.testing.assert_array_equal(moments.sums["square"], np.einsum("upi,upj->ij", whole, whole))
    for name, pairs in displaced(GRID).items():
        each = [whole[:, i].T @ whole[:, j] for i, j in pairs]
        np.testing.assert_array_equal(moments.sums[name], np.sum(each, 0))


def test_pooled_they_are_the_moments_that_know_no_places():
    tiles = codes_of(300)
    dense = DenseMoments(6)
    dense.add(tiles.reshape(-1, 6), np.repeat(np.arange(300), 4))
    one, two = placed(tiles).pooled(), dense.law()
    for name in ("mu", "gamma", "sigma", "units"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-9)


@given(cut=st.integers(0, 40), seed=st.integers(0, 9))
def test_they_add_up_and_are_taken_out_again(cut, seed):
    tiles = codes_of(40, seed=seed)
    one, two, whole = placed(tiles[:cut]), placed(tiles[cut:]), placed(tiles)
    assert same(one + two, whole)
    if 0 < cut < 40:
        assert same(whole - two, one)
    assert same(PlacedMoments.from_state(*whole.state()), whole)


def test_the_order_of_units_and_of_calls_changes_nothing():
    tiles = codes_of(50)
    apart = PlacedMoments(6, GRID)
    for each in tiles[::-1]:
        apart.add(each, np.zeros(4, int))
    by_place = np.arange(200).reshape(50, 4).T.ravel()  # all first rows, then all second ones …
    assert same(apart, placed(tiles))
    assert same(placed(tiles, by_place), placed(tiles))


def test_what_lies_to_the_right_is_told_though_nothing_is_alike():
    # Dimension 0 of a tile on the right is dimension 1 of the one on its left. Pooled, the two
    # have a positive and a negative mode; by displacement, both tell of each other.
    tiles = codes_of(4000)
    modes = solve(placed(tiles).law(), Choice(k=6, rho=1e-6))
    told = np.abs(modes.vectors[:, :2])
    assert told[:2].min(1).max() > 5 * told[2:].max()
    # One of two displacements' directions in half of the pairs: correlation .97 where it is.
    within = np.corrcoef(tiles[:, 0, 1], tiles[:, 1, 0])[0, 1]
    assert within > 0.9
    assert 0.3 < modes.values[0] < within


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_nothing_is_told_where_there_is_only_noise(alike):
    # Tiles of one image are alike, and each is then handed on to another image.
    rng, units, width = np.random.default_rng(1), 3000, 60
    tiles = rng.normal(0, 20, (units, 4, width)) * (1 - alike) ** 0.5
    tiles += rng.normal(0, 20, (units, 1, width)) * alike**0.5
    tiles = np.clip(tiles.round(), -127, 127).astype(np.int8)
    for place in range(4):
        tiles[:, place] = np.roll(tiles[:, place], place, axis=0)
    values = solve(placed(tiles).law(), Choice(k=width)).values
    noise = (width / units) ** 0.5  # of the mode in the middle, were nothing taken off
    assert values.max(initial=0) < noise
    assert len(values) < 0.6 * width


def test_the_same_everywhere_is_what_pooling_finds():
    # One factor shared by all four tiles: all displacements say the same.
    rng = np.random.default_rng(2)
    tiles = rng.normal(0, 20, (20_000, 4, 5))
    tiles[:, :, 0] += rng.normal(0, 20, (20_000, 1))
    moments = placed(np.clip(tiles.round(), -127, 127).astype(np.int8))
    one, two = (solve(law, Choice(k=1)) for law in (moments.law(), moments.pooled()))
    np.testing.assert_allclose(one.values[0], two.values[0], rtol=0.02)
    assert np.abs(one.vectors[0, 0] / two.vectors[0, 0]) == pytest.approx(1, rel=0.02)


def test_units_of_other_sizes_and_other_places_are_refused():
    moments = PlacedMoments(3, GRID)
    with pytest.raises(ValueError, match="expected 4 rows a unit"):
        moments.add(np.zeros((3, 3), np.int8), np.zeros(3, int))
    with pytest.raises(ValueError, match="same width and places"):
        moments + PlacedMoments(3, GRID[::-1])
    moments.add(np.zeros((2, 3), np.int8), np.arange(2))  # rows without a partner
    assert moments.units == 0
    assert PlacedMoments.from_state(*moments.state()).units == 0
