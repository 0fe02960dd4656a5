"""Forecasts of linear runs, what they beat, and when they keep silent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from test_staircase_theory import digit_pairs

from stepwell.staircase import theory
from stepwell.staircase.forecast import (
    Forecast,
    forecast,
    levels_of,
    lies_beyond,
    next_step,
    until,
    words,
)
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


@pytest.mark.parametrize("layers", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_chain_of_layers_is_foreseen(layers):
    """One number a layer, their product s trained on (1 - s²)²: modes speed up as they grow."""

    def downhill(_, w):
        s = w**layers
        return 4 * s * (1 - s**2) * layers * w ** (layers - 1)

    grown = solve_ivp(downhill, (0, 1e4), [0.02 ** (1 / layers)], dense_output=True, rtol=1e-10)
    half = brentq(lambda t: grown.sol(t)[0] ** (2 * layers) - 0.5, 0, 1e4)
    times = np.linspace(0, 1.2 * half, 600)
    values = np.stack([np.ones(600), grown.sol(times)[0] ** (2 * layers)], 1)
    for share in (0.01, 0.1):
        now = int(np.argmax(values[:, 1] >= share))
        said = forecast(times[: now + 1], values[: now + 1], 1, plateau=1.0)
        assert abs(said.time - half) <= 0.05 * (half - times[now])


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
    flat[:5, 0] = 1e-3
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
    values = np.tile([0.9, 0.6, 1e-3, 1e-5], (30, 1))
    values[:5] = 1e-6
    np.testing.assert_allclose(levels_of(values, None), [0.9, 0.6, 0.4, 0.8 / 3])
    np.testing.assert_allclose(levels_of(values, 1.0), 1)
    np.testing.assert_allclose(
        levels_of(values * 0.1, None), np.array([0.9, 0.6, 0.4, 0.8 / 3]) / 10
    )


def test_before_the_first_has_come_no_plateau_is_known():
    times = np.linspace(0, 100, 80)
    values = 0.1 / (1 + np.exp(-(times[:, None] - [150, 400]) * [0.1, 0.05]))
    assert np.isnan(levels_of(values, None)).all()
    said = next_step(times, values)
    assert np.isnan(said.time)
    assert "no dimension has come" in said.why


def test_words_for_the_progress_line():
    said = words(Forecast(2, 5_000.0, 4_850.0, 5_150.0), now=3_104.0, per_second=47.5)
    assert said == "next step ≈ 1,900 ± 150 samples (≈ 40 s)"
    assert words(Forecast(2, 50.0, 40.0, 60.0), 0.0, 0.0) == "next step ≈ 50 ± 10 samples"


def test_the_rule_stops_a_run_whose_next_step_is_too_late(run):
    times, values, came = run
    stop = until(budget=float(came[3] + came[4]) / 2)
    asked = [i for i in range(12, len(times)) if stop(times[:i], values[:i])]
    assert asked
    assert came[3] < times[asked[0] - 1] < came[4]


def test_intervals_hold_what_they_promise():
    """80 % intervals of linear runs on digits, made at 1 % and at 10 %."""
    held = []
    for seed in range(4):
        gamma = theory.pair_matrix(*digit_pairs(200, seed))
        rate = 0.01 / theory.positive_modes(gamma, 1)[0][0]
        weights = small_weights(8, len(gamma), 1e-4, seed)
        last = 2 * theory.predict(gamma, weights, rate=rate).times.max()
        trace = descend(gamma, weights, rate, records(last, 500))
        for j, when in enumerate(crossings(trace.times, trace.eigenvalues)):
            for share in (0.01, 0.1):
                now = int(np.argmax(trace.eigenvalues[:, j] >= share)) + 1
                said = forecast(trace.times[:now], trace.eigenvalues[:now], j, plateau=1.0)
                held.append(said.low <= when <= said.high)
                assert said.high - said.low < when - trace.times[now - 1]
    assert 0.6 <= np.mean(held) <= 0.95  # 64 forecasts: the share itself is not sure to a tenth


def test_the_stop_rule():
    assert lies_beyond(Forecast(1, 200.0, 150.0, 260.0), budget=100.0)
    assert not lies_beyond(Forecast(1, 90.0, 80.0, 100.0), budget=100.0)
    assert not lies_beyond(Forecast(1, why="it does not grow"), budget=100.0)
