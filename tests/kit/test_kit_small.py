"""Names, plug-ins, threads, the stopwatch, eigenproblems."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from helpers import installed
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from threadpoolctl import threadpool_info

from stepwell.kit import threads
from stepwell.kit.linalg import symmetric_top, top_modes
from stepwell.kit.names import nearest
from stepwell.kit.plugins import for_kind, plugins, registered
from stepwell.kit.stopwatch import Stopwatch, peak_memory, waiting
from stepwell.kit.threads import cores, in_blocks


def test_the_nearest_name_is_suggested():
    verbs = ["learn", "embed", "search"]
    assert nearest("lern", verbs) == " Did you mean 'learn'?"
    assert nearest("serach", iter(verbs)) == " Did you mean 'search'?"
    assert nearest("lern", np.array(verbs)) == " Did you mean 'learn'?"
    assert nearest("xyz", verbs) == nearest("learn", []) == ""


def test_plug_ins_are_found_by_entry_points():
    assert "letters" not in plugins("encoders")
    with installed("text"):
        assert plugins("encoders")["letters"].width == 256
        assert list(registered("encoders", {"own": int})) == ["letters", "own"]
    assert registered("encoders", {"own": int}) == {"own": int}


def test_a_plug_in_wins_over_what_is_built_in_under_its_name():
    with installed("text"):
        assert registered("encoders", {"letters": int})["letters"] is not int


class Some:
    kinds = frozenset({"image"})


class Every:
    kinds = frozenset()


def test_the_first_that_suits_the_kind_of_data():
    assert for_kind("none", {"a": Some, "b": Every}, "image") is Some
    assert for_kind("none", {"a": Some, "b": Every}, "text") is Every
    assert for_kind("none", {"a": Some}, "text") is None


@given(st.integers(0, 50), st.integers(1, 20))
def test_blocks_cover_all_rows_in_order(n, size):
    rows = np.arange(n)
    parts = in_blocks(lambda block: rows[block], n, size)
    assert all(len(part) <= size for part in parts)
    np.testing.assert_array_equal(np.concatenate([*parts, rows[:0]]), rows)


@pytest.mark.parametrize("count", [1, 3])
def test_blocks_run_on_so_many_threads_with_one_of_blas_each(monkeypatch, count):
    monkeypatch.setenv("STEPWELL_THREADS", str(count))
    met = threading.Barrier(count, timeout=20)  # passed only if so many work at once

    def work(_: slice) -> list[int]:
        met.wait()
        return [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]

    assert {n for found in in_blocks(work, 3, 1) for n in found} == {1}


def test_an_error_in_a_block_comes_out(monkeypatch):
    monkeypatch.setenv("STEPWELL_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        in_blocks(lambda rows: 1 // rows.start, 4, 1)


@pytest.mark.parametrize(("told", "expected"), [("3", 3), ("0", None), ("many", None), ("", None)])
def test_cores(monkeypatch, told, expected):
    monkeypatch.setenv("STEPWELL_THREADS", told)
    assert cores() == (expected or len(threads.os.sched_getaffinity(0)))


def test_the_stopwatch_counts_work_as_well_as_time():
    watch = Stopwatch()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    facts = watch.facts()
    assert facts["cpu_seconds"] >= 0.08
    assert facts["seconds"] > 0
    assert facts["energy_wh"] >= 0
    assert 10 < peak_memory() < 1e6  # MB: neither bytes nor kilobytes
    assert facts["peak_mb"] <= round(peak_memory(), 1)


def test_waiting_is_told_from_work():
    def slow():
        for i in range(3):
            time.sleep(0.02)
            yield i

    reader = waiting(slow())
    assert list(reader) == [0, 1, 2]
    assert reader.share > 0.5
    busy = waiting(range(3))
    for _ in busy:
        time.sleep(0.02)
    assert busy.share < 0.5


def spread(d: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(3 * d, d))
    return rows.T @ rows / len(rows)


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(1, 40), st.integers(0, 99))
def test_modes_solve_the_generalised_eigenproblem(d, k, seed):
    gamma, sigma = spread(d, seed) - np.eye(d), spread(d, seed + 1)
    values, vectors = top_modes(gamma, sigma, 0.1, k)
    ridged = sigma + 0.1 * np.trace(sigma) / d * np.eye(d)
    expected = linalg.eigh(gamma, ridged, eigvals_only=True)[::-1][:k]
    np.testing.assert_allclose(values, expected, atol=1e-8)
    np.testing.assert_allclose(gamma @ vectors, ridged @ vectors * values, atol=1e-8)
    np.testing.assert_allclose(vectors.T @ ridged @ vectors, np.eye(len(values)), atol=1e-8)
    assert (vectors[np.abs(vectors).argmax(0), np.arange(len(values))] > 0).all()


def test_iteration_finds_what_a_dense_solver_finds():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(700, 700)))
    spectrum = 0.97 ** np.arange(700) - 0.05
    values, vectors = symmetric_top((turn * spectrum) @ turn.T, 20)
    np.testing.assert_allclose(values, spectrum[:20], atol=1e-4)
    np.testing.assert_allclose(np.abs((turn[:, :20] * vectors).sum(0)), 1, atol=1e-3)


@pytest.mark.parametrize("d", [4, 900])
def test_a_matrix_of_zeros_has_modes_all_the_same(d):
    values, vectors = top_modes(np.zeros((d, d)), np.zeros((d, d)), 0.5, 2)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(values, 0)


@pytest.mark.parametrize("rank", [1, 5, 30])
def test_fewer_examples_than_features(rank):
    # A covariance of few examples: all but ``rank`` eigenvalues are zero.
    rows = np.random.default_rng(0).normal(size=(rank, 900))
    values, vectors = symmetric_top(rows.T @ rows, 10)
    expected = np.linalg.svd(rows, compute_uv=False)[:10] ** 2
    np.testing.assert_allclose(values[: len(expected)], expected, rtol=1e-4)
    np.testing.assert_allclose(values[len(expected) :], 0, atol=1e-3)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(10), atol=1e-5)
