"""Pairs kept for the controls: founders' only, the lowest hashes, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.engines import KeptPairs
from stepwell.engines import shuffled as module
from stepwell.engines.accumulate import Encoded
from stepwell.interfaces import Batch


def encoded(start: int, count: int) -> Encoded:
    """Examples ``start`` …, each with one partner but every third."""
    names = np.array([f"x{i}" for i in range(start, start + count)])
    batch = Batch(names, {}, names, np.zeros((count, 2), np.uint64))
    partners = np.flatnonzero(np.arange(start, start + count) % 3)
    unit = np.concatenate([np.arange(count), partners])
    codes = np.tile(((unit + start) % 100).astype(np.int8)[:, None], (1, 4))
    return Encoded(batch, codes[:count], codes, unit, [(str(name), 0) for name in names])


def kept(founders: set[str], chunk: int, total: int = 120) -> tuple[np.ndarray, np.ndarray]:
    pairs = KeptPairs(founders)
    for start in range(0, total, chunk):
        pairs.offer(encoded(start, chunk))
    return pairs.rows(4)


@pytest.mark.parametrize("most", [8, 2000])
def test_the_same_pairs_are_kept_whatever_the_chunks(monkeypatch, most):
    monkeypatch.setattr(module, "MOST", most)
    founders = {f"x{i}" for i in range(0, 120, 2)}
    codes, unit = kept(founders, 120)
    again, units = kept(founders, 10)
    assert len(np.unique(unit)) == min(most, 40)  # a third of the 60 founders is alone
    assert set(np.bincount(unit)) == {2}
    for rows, of in ((codes, unit), (again, units)):
        assert all(len(np.unique(rows[of == u])) == 1 for u in np.unique(of))
    np.testing.assert_array_equal(np.sort(codes[:, 0]), np.sort(again[:, 0]))
    assert not (codes[:, 0] % 2).any()


def test_nothing_kept_is_empty():
    codes, unit = KeptPairs({"a"}).rows(4)
    assert codes.shape == (0, 4)
    assert len(unit) == 0
