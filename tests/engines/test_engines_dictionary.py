"""Dictionaries in closed form: exact sums; what only stands beside a word is not its meaning."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.engines.dictionary import PairCounts

WORDS = {
    "a": "ein",
    "young": "junger",
    "man": "mann",
    "dog": "hund",
    "runs": "läuft",
    "small": "kleiner",
}


def said(rng):
    """A caption; a man is nearly always young."""
    who = rng.choice(["man", "dog"])
    how = "young" if who == "man" and rng.random() < 0.9 else rng.choice(["young", "small"])
    return ["a", how, who, *(["runs"] if rng.random() < 0.5 else [])]


def counted(count, seed=0):
    rng = np.random.default_rng(seed)
    texts = [said(rng) for _ in range(count)]
    found = PairCounts()
    found.add(texts, [[WORDS[word] for word in text] for text in texts])
    return found


def test_words_are_told_from_those_that_stand_beside_them():
    found = counted(400).solved()
    for one, other in WORDS.items():
        if one != "a":  # in every text: nothing tells it
            assert found.of(one, 1)[0][0] == other
    assert found.of("elephant") == []
    assert all(weight > 0 for _, weight in found.of("man", 9))


def test_weights_are_those_of_ridge_regression():
    rng = np.random.default_rng(0)
    texts = [said(rng) for _ in range(60)]
    targets = [[WORDS[word] for word in text] for text in texts]
    found = PairCounts()
    found.add(texts, targets)
    solved = found.solved()
    x = np.array([[word in text for word in solved.source] for text in texts], float)
    y = np.array([[word in text for word in solved.target] for text in targets], float)
    x, y = x - x.mean(0), y - y.mean(0)
    weight = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    np.testing.assert_allclose(solved._weight, weight, atol=1e-10)


def test_counts_add_up_and_are_taken_out_again():
    one, other = counted(50), counted(70, seed=1)
    whole = one + other
    assert whole.texts == 120
    for found, expected in ((whole - other, one), (other + one, whole)):
        for word in expected.words[0]:
            ours, theirs = (dict(each.solved().of(word, 9)) for each in (found, expected))
            assert ours == pytest.approx(theirs)


def test_it_survives_being_written_down():
    one = counted(50)
    again = PairCounts.from_state(*one.state())
    assert again.words == one.words
    assert again.solved().of("dog") == one.solved().of("dog")
    assert PairCounts.from_state(*PairCounts().state()).solved().of("dog") == []


def test_words_are_aligned_once_each():
    found = counted(400).solved()
    source, target = ["small", "man", "runs", "Zyx"], ["kleiner", "mann", "läuft", "Zyx"]
    assert found.aligned(source, target[::-1]) == [(0, 3), (1, 2), (2, 1), (3, 0)]
    assert found.aligned([], target) == found.aligned(source, []) == []
