"""Whatever is damaged: no crash, no hang, no error that is not meant for people, no full memory.

Figures of each kind: ``pytest -m slow tests/fuzz/test_fuzz_sources.py -rP``; more mutations with
``STEPWELL_FUZZ=5000``, others with ``STEPWELL_FUZZ_FROM=100000``.
"""

from __future__ import annotations

import os

import pytest
from source_kinds import MAKERS, one
from tries import run

from stepwell.interfaces import StepwellError

PROCESSES = ("parquet", "arrow", "feather", "saved")
"""Kinds of which each file is looked through by a process of its own, which takes its time."""
MOST_MB, MOST_S = 1000, 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_damaged_sources(kind, tmp_path):
    count = int(os.environ.get("STEPWELL_FUZZ", 150 if kind.startswith(PROCESSES) else 350))
    first = int(os.environ.get("STEPWELL_FUZZ_FROM", 0))
    found = run("source_kinds:one", kind, range(first, first + count), tmp_path, timeout_s=MOST_S)
    print(found.line(kind))
    assert not found.failures, found.failures[:3]
    assert found.counts["read"] + found.counts["refused"] == count
    assert found.peak_mb < MOST_MB, f"seed {found.peak_seed}"


@pytest.mark.parametrize("kind", [k for k in MAKERS if not k.startswith(PROCESSES)])
def test_a_few_of_each_kind(kind, tmp_path):
    for seed in range(6):
        assert one(kind, seed, tmp_path) in ("read", "refused")


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_not_damaged_is_read(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("source_kinds.mutated", lambda content, seed: content)
    try:
        assert one(kind, 0, tmp_path) == "read"
    except StepwellError as error:
        pytest.fail(str(error))
