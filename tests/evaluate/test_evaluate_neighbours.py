"""kNN and retrieval against a plain loop in float64."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.evaluate.neighbours import (
    knn_predict,
    knn_votes,
    retrieved,
    similar,
    unit,
)


def cosines(queries: np.ndarray, bank: np.ndarray) -> np.ndarray:
    found = np.zeros((len(queries), len(bank)))
    for i, query in enumerate(queries.astype(np.float64)):
        for j, row in enumerate(bank.astype(np.float64)):
            found[i, j] = query @ row / np.sqrt((query @ query) * (row @ row))
    return found


def slow_votes(bank, labels, queries, k, temperature):
    votes = np.zeros((len(queries), labels.max() + 1))
    for i, row in enumerate(cosines(queries, bank)):
        for j in np.argsort(-row, kind="stable")[:k]:
            votes[i, labels[j]] += np.exp((row[j] - 1) / temperature)
    return votes


@settings(max_examples=30)
@given(
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(2, 9),
    st.integers(1, 80),
    st.sampled_from([0.07, 0.1, 1.0]),
    st.integers(0, 999),
)
def test_knn_agrees_with_a_plain_loop(bank_size, asked, width, k, temperature, seed):
    rng = np.random.default_rng(seed)
    bank, queries = rng.normal(size=(bank_size, width)), rng.normal(size=(asked, width))
    labels = rng.integers(0, 4, bank_size)
    expected = slow_votes(bank, labels, queries, k, temperature)
    rows, cosine = similar(queries, bank, k)
    assert rows.shape == cosine.shape == (asked, min(k, bank_size))
    assert (np.diff(cosine, axis=1) <= 0).all()
    np.testing.assert_allclose(cosine, -np.sort(-cosines(queries, bank), axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(
        knn_votes(rows, cosine, labels, temperature), expected, rtol=1e-3, atol=1e-6
    )
    # Where two classes are as good as equal, either may win.
    chosen = knn_predict(bank, labels, queries, k, temperature)
    won = expected[np.arange(asked), chosen]
    np.testing.assert_allclose(won, expected.max(1), rtol=1e-3)


def test_more_queries_than_a_block_holds():
    rng = np.random.default_rng(0)
    bank, queries = rng.normal(size=(30, 5)), rng.normal(size=(2500, 5))
    rows, cosine = similar(queries, bank, 3)
    expected = cosines(queries, bank)
    np.testing.assert_allclose(cosine, -np.sort(-expected, axis=1)[:, :3], atol=1e-5)
    np.testing.assert_array_equal(rows[:, 0], expected.argmax(1))


def test_no_queries():
    rows, cosine = similar(np.empty((0, 4)), np.ones((5, 4)), 3)
    assert rows.shape == cosine.shape == (0, 3)


def test_length_does_not_matter_and_nothing_stays_nothing():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [-1e-3, 0.0]])
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0, 0], [-1, 0]], atol=1e-6)
    assert unit(rows).dtype == np.float32
    found, _ = similar(np.array([[1.0, 0.1]]), np.array([[0.0, 100.0], [1.0, 0.0]]), 1)
    assert found.tolist() == [[1]]


def test_near_neighbours_count_more():
    bank, labels = np.array([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]]), np.array([0, 1, 1])
    query = np.array([[1.0, 0.0]])
    assert knn_predict(bank, labels, query, k=3, temperature=0.1)[0] == 0
    assert knn_predict(bank, labels, query, k=3, temperature=10)[0] == 1


def test_retrieval_is_finding_ones_own():
    originals = np.eye(4)
    views = originals[[0, 1, 3, 2]] + 0.1
    assert retrieved(views, originals).tolist() == [True, True, False, False]
