"""Records: their schedule, their file, and the two orders that are computed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.interfaces import StepwellError
from stepwell.staircase.detect import find_steps
from stepwell.staircase.orders import SMALL, arrivals, walk
from stepwell.staircase.records import COUNT, group, read_spectra, record_of, schedule, thinned
from stepwell.stepping import steps_of


@given(st.integers(0, 100_000))
def test_the_schedule_holds_its_ends_and_enough_between(steps):
    chosen = schedule(steps)
    assert {0, steps} <= chosen
    assert min(chosen) == 0
    assert max(chosen) == steps
    assert min(COUNT, steps + 1) <= len(chosen) <= 3 * COUNT + 1


def test_a_record_is_of_both_moments():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 3)) * [3, 2, 1] + 5
    facts = record_of("samples", 7, z, z)
    assert facts["clock"] == "samples"
    assert facts["time"] == 7
    np.testing.assert_allclose(facts["covariance"], [9, 4, 1], rtol=0.2)
    assert facts["cross"][0] > 75  # uncentred: the mean is in it
    assert facts["cross"] == sorted(facts["cross"], reverse=True)


def test_records_come_back_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "steps.jsonl"
    lines = [{"t": 0.1, "event": "learn", "done": 1}]
    for i in range(3):
        z = rng.standard_normal((20, 2))
        lines.append({"t": i, "event": "spectrum", **record_of("samples", i, z, z)})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text + '{"t": 9, "event": "spec', encoding="utf-8")  # being written
    found = read_spectra(path)["samples"]
    assert found.times.tolist() == [0, 1, 2]
    assert found.cross.shape == (3, 2)
    assert found.seconds.tolist() == [0, 1, 2]


def test_a_damaged_file_is_said(tmp_path):
    path = tmp_path / "steps.jsonl"
    path.write_text('{"event": "a"}\nnonsense\n', encoding="utf-8")
    with pytest.raises(StepwellError, match="line 2"):
        read_spectra(path)


def test_no_records_are_no_spectra():
    assert group([{"event": "learn"}]) == {}


def test_arrivals_begin_at_one_and_follow_theory():
    times = arrivals(np.array([1.0, 0.5, 0.1]))
    assert times[0] == 1
    expected = [np.log(1 / (SMALL * g)) / g for g in (1.0, 0.5, 0.1)]
    np.testing.assert_allclose(times, np.array(expected) / expected[0])


def test_an_eigenvalue_is_told_as_the_mode_that_carries_it():
    values = np.array([1.0, 0.6, 0.3, 0.15])
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((4000, 4)) * np.sqrt(values)
    turned = shared * [1, -0.1, 1, 1]  # the second mode does not hold on fresh views
    rows = walk("gradient", values, shared, turned)
    spectra = group({"event": "spectrum", **row} for row in rows)["gradient"]
    steps = steps_of(spectra)
    assert [step.index for step in steps] == [0, 2, 3]
    np.testing.assert_allclose([s.time for s in steps], arrivals(values)[[0, 2, 3]], rtol=0.03)


def test_a_log_of_something_else_is_said(tmp_path):
    for content in (b"\xff\xfe\n", b"1\n", b'{"event": "spectrum"}\n', b"[]\n"):
        (tmp_path / "steps.jsonl").write_bytes(content)
        with pytest.raises(StepwellError, match="line 1"):
            read_spectra(tmp_path / "steps.jsonl")


def test_steps_found_in_a_walk_are_the_arrivals():
    values = np.array([1.0, 0.6, 0.3, 0.15])
    rng = np.random.default_rng(0)
    # Views of unit modes whose cross-correlation is γ, as in the data it was solved for.
    shared = rng.standard_normal((4000, 4)) * np.sqrt(values)
    rows = list(walk("gradient", values, shared, shared))
    assert len(rows) == COUNT
    spectra = group({"event": "spectrum", **row} for row in rows)["gradient"]
    steps = find_steps(spectra.times, spectra.cross)
    assert [step.index for step in steps] == [0, 1, 2, 3]
    np.testing.assert_allclose([step.time for step in steps], arrivals(values), rtol=0.03)


@pytest.mark.parametrize(("steps", "most"), [(5, 24), (10_000, 24), (10_000, 10**6)])
def test_a_schedule_can_be_thinned(steps, most):
    found = thinned(steps, most)
    assert found <= schedule(steps)
    assert len(found) == min(most, len(schedule(steps)))
    assert {0, steps} <= found
