"""Search against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.apply.search import search
from stepwell.evaluate.neighbours import unit


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 99))
def test_the_most_similar_come_first(size, n, seed):
    rng = np.random.default_rng(seed)
    bank, query = unit(rng.normal(size=(size, 5))), unit(rng.normal(size=(1, 5)))[0]
    ids = np.array([f"{i}.png" for i in range(size)])
    rows = search((ids, bank), query, n)
    expected = sorted(((float(b @ query), i) for i, b in enumerate(bank)), reverse=True)[:n]
    assert [row["cosine"] for row in rows] == pytest.approx([c for c, _ in expected], abs=1e-4)
    assert len({row["id"] for row in rows}) == min(size, n)


def test_an_index_longer_than_a_block_and_halves_of_floats():
    bank = unit(np.random.default_rng(0).normal(size=(20_000, 4))).astype(np.float16)
    ids = np.array([str(i) for i in range(len(bank))])
    for place in (0, 8191, 8192, 19_999):
        query = bank[place].astype(np.float32)
        scores = bank.astype(np.float32) @ query
        (first,) = search((ids, bank), query, 1)
        assert first["cosine"] == pytest.approx(scores.max(), abs=1e-4)
        assert scores[int(first["id"])] == pytest.approx(scores.max(), abs=1e-5)


def test_ties_stay_in_the_order_of_the_index():
    bank = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float16)
    rows = search((np.array(list("abcd")), bank), np.array([1, 0], np.float32), 3)
    assert [row["id"] for row in rows] == ["a", "c", "d"]


def test_rows_are_plain_values():
    (row,) = search((np.array(["a"]), np.ones((1, 1), np.float16)), np.ones(1, np.float32), 5)
    assert row == {"id": "a", "cosine": 1.0}
    assert type(row["id"]) is str
    assert type(row["cosine"]) is float
