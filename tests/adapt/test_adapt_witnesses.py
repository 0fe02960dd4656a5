"""What sums alone do not tell: how sure a head made of them may be."""

import numpy as np
import pytest

from stepwell.adapt import LabelSums, Sets, Witnesses, discriminants
from stepwell.adapt.calibrate import shares
from stepwell.adapt.witnesses import MOST
from stepwell.interfaces import StepwellError
from stepwell.kit.nearest import unit


def examples(count, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    x = unit(np.eye(20)[y] * 1.2 + rng.standard_normal((count, 20)) * 0.6)
    return x, y.astype(str), rng.permutation(10**6)[:count].astype(np.uint64)


def test_they_are_the_same_in_whatever_order_labels_came():
    x, y, hashes = examples(1200)
    whole = Witnesses(x, y, hashes, hashes)
    parts = slice(0, 300), slice(300, None)
    one, other = (Witnesses(x[s], y[s], hashes[s], hashes[s]) for s in parts)
    for joined in (one + other, other + one, Witnesses.from_state(*whole.state())):
        for name, array in vars(whole).items():
            np.testing.assert_array_equal(getattr(joined, name), array)


def test_probabilities_and_sets_are_right_as_often_as_they_say():
    x, y, hashes = examples(400)
    sums = LabelSums.of(x, y)
    heat, held = Witnesses(x, y, hashes, hashes).judged(sums, 0.9)
    weight, bias = discriminants(sums, 0.9)
    asked, truth, _ = examples(4000, seed=1)
    told = shares((asked @ weight.T + bias) / heat)
    right = told.argmax(1) == truth.astype(int)
    assert told.max(1).mean() == pytest.approx(right.mean(), abs=0.05)
    inside = Sets(held, 0.9)(told)[np.arange(4000), truth.astype(int)]
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    held_right = held.shares.argmax(1) == held.truth
    assert held_right.mean() == pytest.approx(right.mean(), abs=0.06)


def test_what_belongs_together_is_not_judged_by_itself():
    """Labels without meaning of examples that are there five times: nothing can be told."""
    rng = np.random.default_rng(0)
    x = unit(rng.standard_normal((240, 100))).repeat(5, 0)
    y, hashes = rng.integers(0, 2, 240).repeat(5).astype(str), np.arange(1200, dtype=np.uint64)
    groups = rng.permutation(240).repeat(5).astype(np.uint64)
    _, held = Witnesses(x, y, rng.permutation(hashes), groups).judged(LabelSums.of(x, y), 0.1)
    assert len(held.truth) == MOST < len(x)
    assert (held.shares.argmax(1) == held.truth).mean() < 0.6


def test_the_last_of_a_class_is_learned_from_and_counts_as_missed():
    x, y, hashes = examples(300)
    y[-6:] = [f"rare {i}" for i in range(6)]
    _, held = Witnesses(x, y, hashes, hashes).judged(LabelSums.of(x, y), 0.9)
    assert len(held.truth) == 300
    missed = held.shares[held.truth >= 4]
    assert len(missed) == 6
    assert (missed[np.arange(6), held.truth[held.truth >= 4]] == 0).all()


def test_where_nothing_can_be_judged_nothing_is_certain():
    x, y, hashes = examples(4)
    y, sums = np.array(list("abcd")), LabelSums.of(x, np.array(list("abcd")))
    heat, held = Witnesses(x, y, hashes, hashes).judged(sums, 0.9)
    weight, bias = discriminants(sums, 0.9)
    assert held is None
    assert shares((x @ weight.T + bias) / heat).max(1).mean() == pytest.approx(2 / 3, abs=0.02)


def test_witnesses_of_classes_that_there_are_no_sums_of_are_told():
    x, y, hashes = examples(40)
    sums = LabelSums.of(x, y)
    with pytest.raises(StepwellError, match="Expected witnesses"):
        Witnesses(x, np.char.add("x", y), hashes, hashes).judged(sums, 0.9)


def test_sums_that_no_head_follows_from_are_told():
    x, y, _ = examples(40)
    sums = LabelSums.of(x, y)
    sums._sums, sums._products = sums._sums * 0, sums._products * 0
    with pytest.raises(StepwellError, match="Expected sums"):
        discriminants(sums, 0.0)
