"""Heads: what is chosen is what tells held-out labels, and probabilities mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from stepwell.adapt import Head, Terms, chosen_head
from stepwell.adapt.head import beside, heat_of, margin, shares
from stepwell.interfaces import UsageError

N = 240


@pytest.fixture(scope="module")
def data():
    """Features that tell a label, others that do not, and sparse ones that tell it too."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, N)
    good = np.eye(3)[truth] * 2 + rng.standard_normal((N, 3))
    some = {"good": good, "noise": rng.standard_normal((N, 8))}
    some["sparse"] = sparse.csr_matrix(np.eye(3)[truth] * (rng.random((N, 3)) < 0.2))
    return some, [f"class {c}" for c in truth]


def chosen(data, *candidates, rows=slice(None)):
    features = {name: each[rows] for name, each in data[0].items()}
    labels = data[1][rows]
    return chosen_head(features, labels, list(map(str, range(len(labels)))), candidates)


def test_the_head_that_tells_labels_is_taken(data):
    for candidates in ((("noise",), ("good",)), (("good",), ("noise",))):
        head, tried = chosen(data, *candidates)
        assert head.reads == ("good",)
        assert [row["reads"] for row in tried if row["chosen"]] == [["good"]]
        assert {row["reads"][0]: row["loss"] for row in tried}["noise"] > 1
    assert chosen(data, ("good", "sparse"), ("noise",))[0].reads == ("good", "sparse")


def test_where_nothing_speaks_against_it_the_first_is_taken(data):
    twice = data[0] | {"again": data[0]["good"].copy()}
    for first in ("good", "again"):
        other = "again" if first == "good" else "good"
        assert chosen((twice, data[1]), (first,), (other,))[0].reads == (first,)


def test_probabilities_are_right_as_often_as_they_say(data):
    head, tried = chosen(data, ("good",))
    p = head({"good": data[0]["good"]})
    assert np.allclose(p.sum(1), 1)
    right = np.array(head.classes)[p.argmax(1)] == np.array(data[1])
    assert abs(p.max(1).mean() - right.mean()) < 0.06
    assert tried[0]["accuracy"] == pytest.approx(right.mean(), abs=0.08)


def test_heat_undoes_what_was_too_sure():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((4000, 3))
    truth = np.array([rng.choice(3, p=p) for p in shares(scores)])
    assert heat_of(scores, truth) == pytest.approx(1, abs=0.15)
    assert heat_of(3 * scores, truth) == pytest.approx(3, abs=0.45)


def test_few_that_are_told_right_do_not_make_certain():
    truth = np.repeat([0, 1], 5)
    scores = np.eye(2)[truth] * 50
    assert shares(scores / heat_of(scores, truth)).max() == pytest.approx(6 / 7, abs=0.02)


def test_a_margin_is_the_logarithm_of_odds():
    scores = np.random.default_rng(0).standard_normal((9, 3))
    p = shares(scores)[:, 1]
    assert np.allclose(margin(scores, 1), np.log(p / (1 - p)))


def test_a_single_example_of_a_class_is_enough(data):
    rows = [data[1].index(f"class {c}") for c in range(3)]
    few = {name: each[rows] for name, each in data[0].items()}
    head, tried = chosen_head(few, [data[1][r] for r in rows], ["a", "b", "c"], [("good",)])
    assert head.classes == ("class 0", "class 1", "class 2")
    assert "loss" not in tried[0]
    with pytest.raises(UsageError, match="two classes or more, found 1"):
        chosen_head(few, ["a"] * 3, ["a", "b", "c"], [("good",)])


def test_groups_stay_together():
    """Copies of an example on both sides would tell any label by heart."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((30, 40)), rng.integers(0, 2, 30)
    both = {"x": np.repeat(x, 4, 0)}
    told = [str(c) for c in np.repeat(labels, 4)]
    apart = chosen_head(both, told, [str(i) for i in range(120)], [("x",)])[1]
    together = chosen_head(both, told, [str(i) for i in np.repeat(np.arange(30), 4)], [("x",)])[1]
    assert apart[0]["accuracy"] > 0.95
    assert together[0]["accuracy"] < 0.8


def test_heads_and_terms_survive_being_written_down(data):
    head, _ = chosen(data, ("good", "sparse"))
    again = Head.from_state(*head.state())
    assert np.array_equal(again(data[0]), head(data[0]))
    texts = ["a fine film, really fine", "größer als alles", "", "x"]
    terms = Terms().fit(texts)
    back = Terms.from_state(*terms.state())
    assert (terms(texts) != back(texts)).nnz == 0
    assert Terms().fit(["", " "])(["a"]).shape == (1, 1)
    assert beside({"a": np.ones((2, 1)), "b": np.ones((2, 2))}, ("a", "b")).shape == (2, 3)
