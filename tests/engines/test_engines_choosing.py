"""The label-free choice: what it measures, and that it leaves the moments whole."""

from __future__ import annotations

import numpy as np

from stepwell.engines import Choice, DenseMoments, Quantiser
from stepwell.engines.choosing import FEWEST, RHOS, choose, judging, separation


def pairs_of(n: int, d: int = 24, seed: int = 0):
    """(2n, d) int8 codes: examples that share three coordinates with their views."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3)) * 30
    both = [np.c_[shared, 20 * rng.normal(size=(n, d - 3))] for _ in "ab"]
    codes = np.clip(np.concatenate(both), -63, 63).astype(np.int8)
    return codes, np.tile(np.arange(n), 2)


def test_separation_is_a_distance_in_standard_deviations():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(400, 50))
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    assert separation(known, known) > 6  # cosines of strangers have a deviation of 1/√50
    assert abs(separation(rng.permutation(known), known)) < 0.5


def test_judges_are_taken_out_of_the_moments_and_nothing_else():
    codes, unit = pairs_of(400)
    moments = DenseMoments(24)
    moments.add(codes, unit)
    examples, views, theirs = judging(codes, unit, moments)
    assert len(examples) == len(views) == theirs.units == 100
    left = DenseMoments(24)
    left.add(codes[unit >= 100], unit[unit >= 100])
    rest = moments - theirs
    for name in ("outer", "square", "sum"):
        np.testing.assert_array_equal(rest.buckets[2][name], left.buckets[2][name])


def test_too_few_judges_choose_nothing():
    codes, unit = pairs_of(4 * FEWEST - 4)
    moments = DenseMoments(24)
    assert judging(codes, unit, moments) is None
    moments.add(codes, unit)
    assert judging(codes, unit, moments) is None
    moments.add(codes, unit)
    assert judging(codes, unit, moments) is not None
    assert judging(codes[:9], np.arange(9), moments) is None


def test_units_of_one_row_never_judge():
    codes, unit = pairs_of(400)
    alone = unit.copy()
    alone[400:][::2] = 400 + np.arange(200)  # every other example loses its view
    moments = DenseMoments(24)
    moments.add(codes, alone)
    examples, views, theirs = judging(codes, alone, moments)
    assert theirs.units == len(examples) == 50
    np.testing.assert_array_equal(np.abs(examples[:, :3] - views[:, :3]).max(), 0)


def test_the_choice_is_the_best_of_its_table():
    codes, unit = pairs_of(4000)
    moments = DenseMoments(24)
    moments.add(codes, unit)
    examples, views, theirs = judging(codes, unit, moments)
    quantiser = Quantiser(np.zeros(24, np.float32), 1.0)
    wanted = Choice(k=12)
    found, rows = choose((moments - theirs).law(), quantiser, (examples, views), wanted)
    best = max(rows, key=lambda row: row["separation"])
    assert [row["used"] for row in rows].count(True) == 1
    assert best["used"]
    assert (found.rho, found.alpha) == (best["rho"], wanted.alpha)
    assert {row["rho"] for row in rows} == set(RHOS)
    assert {row["k"] for row in rows} == {12, 6, 3}
    assert found.k == best["k"]
