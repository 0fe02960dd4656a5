"""Runs of every kind, damaged and used: an error for people or none, no crash, no hang, and little
memory.

Figures: ``pytest -m slow tests/fuzz/test_fuzz_runs.py -rP``; another number of mutations in all
with ``STEPWELL_FUZZ_RUNS=30000``, others with ``STEPWELL_FUZZ_FROM=100000``.
"""

from __future__ import annotations

import os

import pytest
from run_kinds import MAKERS, made, one
from tries import run

MANY = int(os.environ.get("STEPWELL_FUZZ_RUNS", 10_400))
MOST_MB, MOST_S = 1000, 60
"""More than the same kind of run takes that is whole, and seconds of a try."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_damaged_runs(kind, folder):
    made(kind, folder)
    whole = run("run_kinds:undamaged", kind, range(3), folder, timeout_s=MOST_S)
    assert whole.counts == {"read": 3}, whole.failures
    first = int(os.environ.get("STEPWELL_FUZZ_FROM", 0))
    seeds = range(first, first + MANY * MAKERS[kind][1] // 100)
    found = run("run_kinds:one", kind, seeds, folder, timeout_s=MOST_S)
    print(f"{found.line(kind)}; {whole.peak_mb:,.0f} MB where nothing is damaged")
    assert not found.failures, found.failures[:3]
    assert found.counts["read"] + found.counts["refused"] == len(seeds)
    assert found.peak_mb - whole.peak_mb < MOST_MB, f"seed {found.peak_seed}"


def test_shares_are_of_the_whole():
    assert sum(share for _, share in MAKERS.values()) == 100


def test_a_few_damaged_runs(folder):
    counts = {one("words", seed, folder) for seed in range(10_000_000, 10_000_012)}
    assert counts == {"read", "refused"}
