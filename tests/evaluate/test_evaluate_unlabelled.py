"""Scores without labels, where their values are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.evaluate import unlabelled as of

SEEDS = st.integers(0, 10_000)
RANKS = [of.rankme, of.effective_rank, of.nesum]


def rows_of(seed, n=60, k=8):
    return np.random.default_rng(seed).standard_normal((n, k))


def turned(seed, k=8):
    return np.linalg.qr(rows_of(seed, k, k))[0]


@given(SEEDS)
def test_neither_order_nor_rotation_matters(seed):
    rows, views = rows_of(seed), rows_of(seed + 1)
    order = np.random.default_rng(seed).permutation(len(rows))
    turn = turned(seed)
    for score in (of.uniformity, of.alpha_req, *RANKS):
        assert score(rows[order] @ turn) == pytest.approx(score(rows), rel=1e-4, abs=1e-6)
    for compare in (of.agreement, of.alignment, of.alike):
        found = compare(rows[order] @ turn, views[order] @ turn)
        assert found == pytest.approx(compare(rows, views), rel=1e-4)
    assert of.lidar(np.stack([rows, views], 1) @ turn) == pytest.approx(
        of.lidar(np.stack([rows, views], 1)), rel=1e-4
    )


@given(SEEDS)
def test_what_is_the_same_agrees_wholly(seed):
    rows = rows_of(seed)
    assert of.agreement(rows, rows) == 1
    assert of.alignment(rows, 3 * rows) == pytest.approx(0, abs=1e-6)
    assert of.alike(rows, rows @ turned(seed)) == pytest.approx(1)
    np.testing.assert_allclose(of.strengths(rows, 2 * rows + 1), 1)
    np.testing.assert_allclose(of.strengths(rows, -rows), -1)


def test_what_has_nothing_in_common_agrees_by_chance():
    rows, others = rows_of(0, 2000), rows_of(1, 2000)
    assert of.agreement(rows, others) == pytest.approx(10 / 1999, abs=0.004)
    assert of.alignment(rows, others) == pytest.approx(2, abs=0.1)
    assert abs(of.alike(rows, others)) < 0.01
    wide = [rows_of(seed, 50, 512) for seed in (0, 1)]  # more dimensions than rows
    assert abs(of.alike(*wide)) < 0.1
    assert np.abs(of.strengths(rows, others)).max() < 0.1


@pytest.mark.parametrize("k", [1, 3, 8])
def test_ranks_count_dimensions(k):
    rows = np.concatenate([np.eye(k), -np.eye(k)])
    flat = np.concatenate([rows, np.zeros((2 * k, 8 - k))], 1)
    for rank in RANKS:
        assert rank(flat) == pytest.approx(k, rel=1e-4)
    if k > 1:
        assert of.alpha_req(flat) == pytest.approx(0, abs=1e-6)


def test_uniformity_of_two_opposite_points():
    assert of.uniformity(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(-8)
    assert of.uniformity(np.ones((5, 3))) == pytest.approx(0, abs=1e-5)
    assert of.uniformity(rows_of(0)) < of.uniformity(rows_of(0) + 3)


def test_the_slope_of_a_spectrum_is_found():
    values = np.arange(1, 31.0) ** -1.5
    rows = np.linalg.qr(rows_of(0, 400, 31) - rows_of(0, 400, 31).mean(0))[0][:, :30]
    rows = rows - rows.mean(0)
    scale = np.sqrt(values / np.square(rows).mean(0))
    assert of.alpha_req(rows * scale) == pytest.approx(1.5, abs=0.05)
    assert of.alpha_req(np.ones((5, 3))) == float("inf")


def test_lidar_counts_what_tells_examples_apart_and_not_views():
    rng, k = np.random.default_rng(0), 8
    own = np.where(np.arange(k) < 3, 1.0, 0.0) * rng.standard_normal((500, k))
    seen = own[:, None] + 0.5 * rng.standard_normal((500, 4, k)) * (np.arange(k) >= 3)
    told = of.lidar(seen)
    assert told == pytest.approx(3, abs=0.3)
    assert of.rankme(seen.reshape(-1, k)) > 6


def test_collapse_is_seen():
    collapsed = np.outer(rows_of(0, 60, 1), np.ones(8)) + 1e-6 * rows_of(1)
    for rank in RANKS:
        assert rank(collapsed) < 1.1
        assert rank(rows_of(0)) > 4
