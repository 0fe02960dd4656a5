"""Intervals against scipy, by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from stepwell.evaluate.intervals import Estimate, over_draws, paired_difference, paired_draws, share


@given(st.integers(1, 5000), st.data())
def test_shares_have_wilsons_interval(n, data):
    hits = data.draw(st.integers(0, n))
    found = share(hits, n)
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert found.value == pytest.approx(100 * hits / n)
    assert found.low == pytest.approx(100 * expected.low, abs=1e-4)
    assert found.high == pytest.approx(100 * expected.high, abs=1e-4)
    assert found.n == n


def test_a_published_interval():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263.
    found = share(81, 263)
    assert (round(found.low, 2), round(found.high, 2)) == (25.53, 36.62)


def test_nothing_tested_says_nothing():
    found = share(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0, 100)


def test_draws_join_their_own_spread_with_the_size_of_the_test_set():
    values = [60.0, 70.0, 80.0]
    found = over_draws(values, 100)
    half = 1.959964 * math.sqrt(100 / 3 + 0.7 * 0.3 / 100 * 1e4)
    assert found.value == pytest.approx(70)
    assert found.high == pytest.approx(70 + half)
    assert found.low == pytest.approx(70 - half)
    assert over_draws([100.0, 100.0], 20).high == 100
    assert over_draws([1.0, 0.0], 5).low == 0
    assert over_draws([50.0], 100).high == pytest.approx(50 + 1.959964 * 5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_paired_differences_by_hand(hits):
    first, second = np.array(hits).T
    gap = [100.0 * (int(a) - int(b)) for a, b in hits]
    mean = sum(gap) / len(gap)
    deviation = math.sqrt(sum((g - mean) ** 2 for g in gap) / (len(gap) - 1))
    half = 1.959964 * deviation / math.sqrt(len(gap))
    found = paired_difference(first, second)
    assert found.value == pytest.approx(mean)
    assert found.low == pytest.approx(mean - half)
    assert found.high == pytest.approx(mean + half)
    swapped = paired_difference(second, first)
    assert (swapped.value, swapped.low) == pytest.approx((-found.value, -found.high))


def test_pairing_is_what_makes_a_small_gap_sure():
    rng = np.random.default_rng(0)
    easy = rng.random(1000) < 0.5
    better = easy | (rng.random(1000) < 0.02)
    assert paired_difference(better, easy).low > 0
    assert paired_difference(better, rng.permutation(easy)).low < 0


def test_one_example_decides_nothing():
    found = paired_difference(np.array([True]), np.array([False]))
    assert found.low <= 0 <= found.high


def test_intervals_of_paired_differences_cover():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        a, b = rng.random(200) < 0.7, rng.random(200) < 0.6
        found = paired_difference(a, b)
        covered += found.low <= 10 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_estimates_are_written_with_two_decimals():
    assert Estimate(1 / 3, 0.0, 2 / 3, 7).as_dict() == {
        "value": 0.33,
        "low": 0.0,
        "high": 0.67,
        "n": 7,
    }


def test_paired_draws_by_hand_and_where_nothing_varies():
    one = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
    two = np.array([[1, 0, 0, 0], [1, 0, 1, 0]], bool)
    found = paired_draws(one, two)
    gap = 100.0 * (one.astype(float) - two)
    variance = gap.mean(0).var(ddof=1) / 4 + gap.mean(1).var(ddof=1) / 2
    assert found.value == pytest.approx(gap.mean())
    assert found.high - found.value == pytest.approx(1.959964 * variance**0.5)
    few = paired_draws(np.ones((1, 3), bool), np.zeros((1, 3), bool))
    assert few.low <= 0  # three of three is no proof
    same = paired_draws(np.ones((1, 300), bool), np.ones((1, 300), bool))
    assert (same.value, same.low, same.high) == (0, -1, 1)
