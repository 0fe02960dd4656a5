"""Counts of many numbers against a Counter, whatever of them waits on disk."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.kit import tally
from stepwell.kit.tally import Tally

NUMBERS = st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=9), max_size=12)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """So that few numbers fill files, blocks and levels."""
    for name, size in (("HELD", 4), ("FAN", 3), ("BLOCK", 2)):
        monkeypatch.setattr(tally, name, size)


def counted(batches, folder=None):
    found = Tally(folder)
    for batch in batches:
        found.add(np.array(batch, np.uint64))
    return found


def table(found):
    blocks = list(found.blocks())
    keys = [int(key) for block, _ in blocks for key in block]
    assert keys == sorted(set(keys))
    return dict(zip(keys, [int(n) for _, counts in blocks for n in counts], strict=True))


@given(batches=NUMBERS, others=NUMBERS)
def test_counts_are_those_of_a_counter(batches, others):
    one, two = counted(batches), counted(others)
    own, other = (Counter(n for batch in side for n in batch) for side in (batches, others))
    assert table(one) == own
    assert table(one.joined(two)) == own + other
    assert table(one.joined(two).joined(one, -1)) == other
    less = Counter(own)
    less.subtract(other)
    assert table(one.joined(two, -1)) == {n: count for n, count in less.items() if count}
    both = one.joined(two)
    for _ in range(40):
        both.add(np.array([7], np.uint64))
    assert table(both)[7] == own[7] + other[7] + 40
    assert len(both._levels[0]) < 3  # pieces are merged, whoever made them


def test_nothing_is_left_in_the_folder(tmp_path):
    found = counted([range(9)] * 99, tmp_path)
    assert table(found) == dict.fromkeys(range(9), 99)
    assert not list(tmp_path.iterdir())


def test_a_tally_of_what_was_counted():
    keys, counts = np.array([1, 5, 9], np.uint64), np.array([2, 1, 7])
    assert table(Tally.of(keys, counts)) == {1: 2, 5: 1, 9: 7}
    assert table(Tally()) == {}
