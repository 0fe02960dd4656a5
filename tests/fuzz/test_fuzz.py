"""Ten thousand mutations of all that is read: an error of ours, or none; see campaign.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from campaign import HEAD, campaign
from worker import SOURCES

MANY = 360
"""Of each kind: 10,800 in all."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOURCES)
def test_mutations_are_read_or_refused(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = campaign(kind, MANY)
    print(f"\n{HEAD}\n{found.row(kind)}")
    assert found.cases == MANY
    assert not found.faults, [*found.strange, *found.deaths, *found.hangs]
    assert found.peak_mb < 1000


def test_a_few_of_each_are_read_or_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for kind in ("PNG", "csv", "arrow of texts", "run of texts"):
        found = campaign(kind, 12, seed=1)
        assert not found.faults, (kind, found)
