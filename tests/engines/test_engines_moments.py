"""Exact sums: the algebra that everything a run promises rests on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.engines import DenseMoments, Quantiser, shuffle_units


def some(seed: int, count: int, width: int = 5):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-63, 64, size=(count, width)).astype(np.int8)
    return codes, rng.integers(0, max(1, count // 2), size=count)


def moments_of(*parts) -> DenseMoments:
    total = DenseMoments(5)
    for codes, unit in parts:
        total.add(codes, unit)
    return total


def same(one: DenseMoments, two: DenseMoments) -> bool:
    a, b = one.state(), two.state()
    return a[0] == b[0] and all(np.array_equal(a[1][k], b[1][k]) for k in {*a[1], *b[1]})


def naive(codes, unit):
    """Γ, Σ, μ by their definition, every ordered pair of distinct rows of a unit."""
    codes = codes.astype(np.float64)
    units = [u for u in np.unique(unit) if (unit == u).sum() > 1]
    d = codes.shape[1]
    gamma, sigma, mu = np.zeros((d, d)), np.zeros((d, d)), np.zeros(d)
    for u in units:
        rows = codes[unit == u]
        v = len(rows)
        for i in range(v):
            mu += rows[i] / v / len(units)
            sigma += np.outer(rows[i], rows[i]) / v / len(units)
            for j in range(v):
                if i != j:
                    gamma += np.outer(rows[i], rows[j]) / (v * (v - 1)) / len(units)
    return gamma - np.outer(mu, mu), sigma - np.outer(mu, mu), mu


@given(st.integers(0, 10_000), st.integers(4, 40))
@settings(max_examples=40)
def test_law_is_that_of_all_ordered_pairs(seed, count):
    codes, unit = some(seed, count)
    total = moments_of((codes, unit))
    if total.units == 0:
        return
    law, (gamma, sigma, mu) = total.law(), naive(codes, unit)
    np.testing.assert_allclose(law.gamma, gamma, atol=1e-9)
    np.testing.assert_allclose(law.sigma, sigma, atol=1e-9)
    np.testing.assert_allclose(law.mu, mu, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=40)
def test_sums_add_up_and_come_apart_bit_by_bit(seed, first, second):
    a, b = some(seed, first), some(seed + 1, second)
    both, left, right = moments_of(a, b), moments_of(a), moments_of(b)
    assert same(left + right, both)
    assert same(right + left, both)
    back = both - right
    np.testing.assert_array_equal(
        back.law().gamma if back.units else 0, left.law().gamma if left.units else 0
    )


def test_large_blocks_stay_exact():
    codes = np.full((20_000, 3), 63, np.int8)
    total = DenseMoments(3)
    total.add(codes, np.repeat(np.arange(10_000), 2))
    assert (total.buckets[2]["square"] == 20_000 * 63 * 63).all()
    assert (total.buckets[2]["outer"] == 10_000 * 126 * 126).all()


def test_moments_of_another_width_are_refused():
    with pytest.raises(ValueError, match="expected moments of width 5, found 4"):
        DenseMoments(5) + DenseMoments(4)


def test_saving_keeps_every_bit():
    total = moments_of(some(3, 30))
    assert same(DenseMoments.from_state(*total.state()), total)


@given(st.integers(2, 50), st.integers(2, 4))
@settings(max_examples=30)
def test_no_shuffled_row_keeps_its_partner(count, views):
    unit = np.tile(np.arange(count), views)
    shuffled = shuffle_units(unit)
    assert (np.bincount(shuffled) == views).all()
    if count >= views:
        owners = [set(unit[shuffled == u]) for u in range(count)]
        assert all(len(found) == views for found in owners)


def test_rounding_is_bounded_and_kept():
    features = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    quantiser = Quantiser.fit(features)
    codes = quantiser(features)
    assert codes.dtype == np.int8
    error = np.abs(codes * quantiser.scale + quantiser.mean - features)
    assert error[np.abs(codes) < 63].max() <= quantiser.scale / 2 + 1e-6
