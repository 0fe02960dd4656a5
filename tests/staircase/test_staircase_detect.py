"""Steps found in planted staircases, and none where there is only noise."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.interfaces import StepwellError
from stepwell.staircase.detect import find_steps, noise_of

RECORDS, DIMENSIONS, NEAR = 240, 8, 8
TIMES = np.geomspace(1, 1e5, RECORDS)


def abrupt(rng, height, noise, ordered=True):
    """Each dimension jumps once, at a record of its own."""
    at = np.sort(rng.choice(np.arange(20, RECORDS - 20), DIMENSIONS, replace=False))
    logs = np.where(np.arange(RECORDS)[:, None] >= at, 0.0, -height)
    logs = logs + noise * rng.standard_normal(logs.shape)
    return np.exp(-np.sort(-logs, 1) if ordered else logs), list(enumerate(at))


def growing(rng, height, noise, ordered=True):
    """Each dimension grows as the linear model does, out of nothing."""
    at = np.sort(rng.choice(np.arange(60, RECORDS - 20), DIMENSIONS, replace=False))
    when = TIMES[at]
    logs = np.maximum(-np.logaddexp(0, -(TIMES[:, None] - when) * 14 / when), -height)
    logs = logs + noise * rng.standard_normal(logs.shape)
    return np.exp(-np.sort(-logs, 1) if ordered else logs), list(enumerate(at))


def levels(rng, height, noise):
    """Each dimension rises several times."""
    logs, planted = np.zeros((RECORDS, 3)), []
    for j in range(3):
        for at in np.arange(25, RECORDS - 25, 35) + rng.integers(-8, 8):
            logs[at:, j] += height
            planted.append((j, at))
    return np.exp(logs + noise * rng.standard_normal(logs.shape)), planted


def scored(make, height, noise, runs=25, **options):
    """Precision and recall over runs."""
    right = found = planted = 0
    for seed in range(runs):
        values, steps = make(np.random.default_rng(seed), height, noise, **options)
        seen = [
            (step.index, np.interp(step.time, TIMES, np.arange(RECORDS)))
            for step in find_steps(TIMES, values)
        ]
        found, planted = found + len(seen), planted + len(steps)
        for index, at in steps:
            near = [s for s in seen if s[0] == index and abs(s[1] - at) <= NEAR]
            if near:
                seen.remove(near[0])
                right += 1
    return right / found, right / planted


@pytest.mark.parametrize("height", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("ordered", [True, False])
def test_jumps_of_five_times_the_noise_are_found(height, ordered):
    precision, recall = scored(abrupt, height, height / 5, ordered=ordered)
    assert precision >= 0.95
    assert recall >= 0.95


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("ordered", [True, False])
def test_growth_out_of_nothing_is_one_step(noise, ordered):
    precision, recall = scored(growing, 13.8, noise, ordered=ordered)
    assert precision >= 0.95
    assert recall >= 0.95


@pytest.mark.parametrize("height", [0.4, 1.0, 3.0])
def test_several_steps_of_one_dimension(height):
    precision, recall = scored(levels, height, height / 5)
    assert precision >= 0.95
    assert recall >= 0.95


def white(rng):
    return np.exp(0.3 * rng.standard_normal((RECORDS, 16)))


def heavy_tailed(rng):
    return np.exp(0.3 * rng.standard_t(5, (RECORDS, 16)))


def in_order(rng):
    return -np.sort(-white(rng), 1)


def of_random_embeddings(rng):
    draws = rng.standard_normal((RECORDS, 100, 8))
    return np.linalg.eigvalsh(np.swapaxes(draws, 1, 2) @ draws / 100)[:, ::-1]


def of_random_pairs(rng):
    """Cross-correlations of views that share nothing: half of the eigenvalues are negative."""
    one, other = rng.standard_normal((2, RECORDS, 60, 6))
    product = np.swapaxes(one, 1, 2) @ other / 120
    return np.linalg.eigvalsh(product + np.swapaxes(product, 1, 2))[:, ::-1]


@pytest.mark.parametrize(
    "noise", [white, heavy_tailed, in_order, of_random_embeddings, of_random_pairs]
)
def test_at_most_one_false_step_in_a_hundred_runs_of_noise(noise):
    assert sum(len(find_steps(TIMES, noise(np.random.default_rng(s)))) for s in range(100)) <= 1


def test_what_a_step_says():
    values, planted = abrupt(np.random.default_rng(0), 2.0, 0.1)
    step = find_steps(TIMES, values)[0]
    assert step.begin <= step.time <= step.end
    assert step.size == pytest.approx(2.0, abs=0.5)
    assert 0.99 < step.confidence <= 1
    assert step.index == planted[0][0]


def test_noise_is_measured_beside_slopes():
    rng = np.random.default_rng(0)
    column = np.linspace(0, 50, 400) + 0.2 * rng.standard_normal(400)
    assert noise_of(column) == pytest.approx(0.2, rel=0.2)


def test_what_is_not_positive_counts_as_nothing():
    values = np.exp(np.where(np.arange(60)[:, None] >= 30, 0.0, -9.0)) * np.ones((60, 2))
    values[:30, 1] = -1e-3
    assert {step.index for step in find_steps(np.arange(60.0), values)} == {0, 1}


@pytest.mark.parametrize(
    ("times", "values", "said"),
    [
        (np.arange(5.0), np.ones((5, 2)), "records or more"),
        (np.arange(20.0), np.ones(20), "a row for each time"),
        (np.arange(19.0), np.ones((20, 2)), "a row for each time"),
        (np.arange(20.0), np.ones((20, 0)), "a row for each time"),
        (np.arange(20.0), np.full((20, 2), np.nan), "diverged"),
        (np.arange(20.0)[::-1], np.ones((20, 2)), "ascend"),
        (np.full(20, np.nan), np.ones((20, 2)), "ascend"),
    ],
)
def test_records_that_make_no_sense_are_refused(times, values, said):
    with pytest.raises(StepwellError, match=said):
        find_steps(times, values)


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(5))
def test_an_unfinished_run_has_no_steps_that_the_whole_run_has_not(noise, seed):
    """Eigenvalues that still grow have not come, however far they rose."""
    values, _ = growing(np.random.default_rng(seed), 40.0, noise)
    whole = [(step.index, step.time) for step in find_steps(TIMES, values)]
    for cut in range(40, RECORDS, 20):
        for step in find_steps(TIMES[:cut], values[:cut]):
            if noise and step.size < 1:
                continue  # the foot of a slow rise can't be told from a small one in noise
            assert any(i == step.index and abs(np.log(t / step.time)) < 0.3 for i, t in whole)
            assert values[cut - 1, step.index] > 0.4
