"""Forecasts of linear runs, what they beat, and when they keep silent."""

from __future__ import annotations

import numpy as np
import pytest
from test_staircase_theory import digit_pairs

from stepwell.staircase import theory
from stepwell.staircase.forecast import Forecast, forecast, levels_of, lies_beyond, next_step, words
from stepwell.staircase.simulate import crossings, descend, records, small_weights


@pytest.fixture(scope="module")
def run():
    """A linear run on digits: times, eigenvalues, and when each dimension came."""
    gamma = theory.pair_matrix(*digit_pairs())
    weights = small_weights(8, len(gamma), 1e-4, 0)
    rate = 0.01 / theory.positive_modes(gamma, 1)[0][0]
    modes = theory.predict(gamma, weights, rate=rate)
    trace = descend(gamma, weights, rate, records(2 * modes.times.max(), 500))
    return trace.times, trace.eigenvalues, crossings(trace.times, trace.eigenvalues)


def made_at(run, share):
    """Error of the forecast and of log-linear extrapolation, relative to the time ahead."""
    times, values, came = run
    found = []
    for j, when in enumerate(came):
        now = int(np.argmax(values[:, j] >= share))
        ahead = when - times[now]
        said = forecast(times[: now + 1], values[: now + 1], j, plateau=1.0)
        last = slice(now - 5, now + 1)
        slope, start = np.polyfit(times[last] - times[now], np.log(values[last, j]), 1)
        simple = (np.log(0.5) - start) / slope
        found.append((abs(said.time - when) / ahead, abs(simple - ahead) / ahead))
    return np.array(found)


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_forecasts_of_a_linear_run_are_near_and_beat_the_controls(run, share):
    ours, simple = np.median(made_at(run, share), 0)
    assert ours <= 0.05
    assert ours < simple < 1  # "now" is off by all of the way, 1


def test_a_power_law_of_growth_is_foreseen():
    """A mode of a deep network: o' ∝ o^(1 + q)."""
    q, ahead = 0.3, np.linspace(1, 0, 400, endpoint=False)
    odds = (1 + 8.0 * q * ahead) ** (-1 / q)
    values = np.stack([np.ones(400), odds / (1 + odds)], 1)
    times = 1000.0 * (1 - ahead)
    now = int(np.argmax(values[:, 1] > 0.1))
    said = forecast(times[: now + 1], values[: now + 1], 1, plateau=1.0)
    assert said.time == pytest.approx(1000, rel=0.02)


def test_the_next_step_is_that_of_the_first_dimension_to_come(run):
    times, values, came = run
    between = int(np.searchsorted(times, (came[1] + came[2]) / 2))
    said = next_step(times[:between], values[:between], plateau=1.0)
    assert said.index == 2
    assert said.low < said.time < said.high
    assert said.time > times[between - 1]


def test_what_is_not_known_is_said(run):
    times, values, _ = run
    assert next_step(times, values, plateau=1.0).why == "all dimensions have come"
    flat = np.tile([1.0, 1e-3], (50, 1))
    silent = next_step(np.arange(50.0), flat)
    assert np.isnan(silent.time)
    assert "does not grow" in silent.why
    assert "does not grow" in words(silent, 0.0, 1.0)
    assert forecast(times, values, 0, plateau=1.0).why == "it has come"


def test_falling_noise_has_no_step_ahead():
    rng = np.random.default_rng(0)
    values = np.stack(
        [np.ones(80), np.exp(-np.linspace(3, 9, 80) + 0.05 * rng.standard_normal(80))], 1
    )
    assert np.isnan(next_step(np.arange(80.0), values).time)


def test_plateaus_are_those_of_the_dimensions_before():
    values = np.tile([0.9, 0.6, 1e-3, 1e-5], (20, 1))
    np.testing.assert_allclose(levels_of(values, None), [0.9, 0.6, 0.4, 0.8 / 3])
    np.testing.assert_allclose(levels_of(values, 1.0), 1)
    np.testing.assert_allclose(levels_of(values * 1e-6, None), 1)


def test_words_for_the_progress_line():
    said = words(Forecast(2, 5_000.0, 4_850.0, 5_150.0), now=3_104.0, per_second=47.5)
    assert said == "next step ≈ 1,900 ± 150 samples (≈ 40 s)"
    assert words(Forecast(2, 50.0, 40.0, 60.0), 0.0, 0.0) == "next step ≈ 50 ± 10 samples"


def test_the_stop_rule():
    assert lies_beyond(Forecast(1, 200.0, 150.0, 260.0), budget=100.0)
    assert not lies_beyond(Forecast(1, 90.0, 80.0, 100.0), budget=100.0)
    assert not lies_beyond(Forecast(1, why="it does not grow"), budget=100.0)
