"""Heads: what is chosen is what tells held-out labels, and probabilities mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from stepwell.adapt import Candidate, Head, Sets, Terms, chosen_head, heat_of, held_of, margin
from stepwell.adapt.calibrate import shares
from stepwell.adapt.head import beside
from stepwell.adapt.rules import RULES, discriminant, kernel, ridge
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


def head_of(features, labels, candidates, groups=None, **options):
    """The head, and what was tried; candidates are logistic where only their features are named."""
    groups = [str(i) for i in range(len(labels))] if groups is None else groups
    tried = [each if isinstance(each, Candidate) else Candidate(each) for each in candidates]
    found = chosen_head(features, labels, groups, tried, **options)
    return found.head, found.rows


def chosen(data, *candidates):
    return head_of(*data, candidates)


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
    for times in (1e-6, 1e6):  # as discriminants of few examples are
        some = times * scores
        assert shares(some / heat_of(some, truth)).max() == pytest.approx(6 / 7, abs=0.02)


def test_a_margin_is_the_logarithm_of_odds():
    scores = np.random.default_rng(0).standard_normal((9, 3))
    p = shares(scores)[:, 1]
    assert np.allclose(margin(scores, 1), np.log(p / (1 - p)))


def test_a_single_example_of_a_class_is_enough(data):
    rows = [data[1].index(f"class {c}") for c in range(3)]
    few = {name: each[rows] for name, each in data[0].items()}
    head, tried = head_of(few, [data[1][r] for r in rows], [("good",)])
    assert head.classes == ("class 0", "class 1", "class 2")
    assert "loss" not in tried[0]
    assert head.held is None
    with pytest.raises(UsageError, match="two classes or more, found 3 of one, 'a'"):
        head_of(few, ["a"] * 3, [("good",)])


def test_the_only_example_of_a_class_is_learned_from_and_others_are_held_back(data):
    rows = [data[1].index("class 0"), *(i for i, c in enumerate(data[1]) if c != "class 0")]
    some = {name: each[rows] for name, each in data[0].items()}
    found = chosen_head(
        some, [data[1][r] for r in rows], list(map(str, rows)), [Candidate(("good",))]
    )
    assert "loss" in found.rows[0]
    assert sorted(found.judged) == list(range(1, len(rows)))
    assert not (found.truth[found.judged] == 0).any()


@pytest.mark.parametrize("how", RULES)
def test_every_rule_tells_labels_and_survives_being_written_down(data, how):
    head, rows = head_of(*data, [Candidate(("good",), how)])
    assert rows[0]["how"] == head.how == how
    assert rows[0]["accuracy"] > 0.8
    again = Head.from_state(*head.state())
    assert np.array_equal(again(data[0]), head(data[0]))
    assert np.array_equal(again.held.truth, head.held.truth)
    p = head(data[0])
    assert np.allclose(p.sum(1), 1)


def test_closed_forms_are_those_of_scikit_learn(data):
    x, truth = data[0]["good"], np.unique(data[1], return_inverse=True)[1]
    found = discriminant(x, truth, 1e9)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(x, truth)
    assert np.allclose(shares(found(x)), theirs.predict_proba(x), atol=1e-3)  # x was rounded
    centred = x - x.mean(0)
    penalty = np.trace(centred.T @ centred) / 3 / 2
    one_hot = np.eye(3)[truth]
    expected = Ridge(alpha=penalty).fit(x, one_hot).predict(x)
    assert np.allclose(ridge(x, truth, 2.0)(x), expected)
    usual = one_hot.mean(0)
    machine = KernelRidge(alpha=0.25, kernel="rbf", gamma=0.5).fit(x, one_hot - usual)
    assert np.allclose(kernel(x, truth, 4.0)(x), machine.predict(x) + usual, atol=1e-5)


def test_groups_stay_together():
    """Copies of an example on both sides would tell any label by heart."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((30, 40)), rng.integers(0, 2, 30)
    both = {"x": np.repeat(x, 4, 0)}
    told = [str(c) for c in np.repeat(labels, 4)]
    apart = head_of(both, told, [("x",)])[1]
    together = head_of(both, told, [("x",)], [str(i) for i in np.repeat(np.arange(30), 4)])[1]
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


def test_numbers_are_no_classes(data):
    labels = [str(i / 7) for i in range(N)]
    with pytest.raises(UsageError, match=f"found {N} classes of {N} labels"):
        head_of(data[0], labels, [("good",)])


def test_sets_count_classes_that_were_never_held_back_as_missed():
    """Where many classes have one example, the others alone would promise too much."""
    rng = np.random.default_rng(0)

    said, truth = np.full((90, 12), 0.01), rng.integers(0, 2, 90)
    said[np.arange(90), truth] = 0.89
    alone = held_of(said, truth, np.zeros(0, np.intp), 0)
    beside_others = held_of(said, truth, np.arange(2, 12).repeat(2), 0)
    assert len(beside_others.truth) == 110
    p = np.full((1, 12), 0.01)
    p[0, 0] = 0.89
    assert Sets(alone)(p).sum() == 1
    assert Sets(beside_others)(p).sum() == 12  # a fifth is of classes that nothing is known of
