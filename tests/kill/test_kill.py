"""A process that is killed loses nothing and leaves nothing; see kill.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILL = Path(__file__).with_name("kill.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="children are forked")
def test_each_operation_of_each_verb():
    done = subprocess.run(
        [sys.executable, str(KILL), "2"], capture_output=True, text=True, check=True
    )
    print(done.stdout)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 20
    for _, verb, tried, *_, lost, left, _ in rows:
        assert int(tried) > 0, verb
        assert (int(lost), int(left)) == (0, 0), verb
