"""What sums alone do not tell: how sure a head made of them may be."""

import numpy as np
import pytest

from stepwell.adapt import LabelSums, Sets, Witnesses, discriminants
from stepwell.adapt.calibrate import shares
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
    x = unit(rng.standard_normal((60, 20))).repeat(5, 0)
    y, hashes = rng.integers(0, 2, 60).repeat(5).astype(str), np.arange(300, dtype=np.uint64)
    groups = hashes // np.uint64(5)
    _, held = Witnesses(x, y, hashes, groups).judged(LabelSums.of(x, y), 0.1)
    assert (held.shares.argmax(1) == held.truth).mean() < 0.65


def test_one_of_a_class_is_never_left_out():
    x, y, hashes = examples(4)
    y = np.array(["a", "b", "c", "d"])
    assert Witnesses(x, y, hashes, hashes).judged(LabelSums.of(x, y), 0.9) == (1.0, None)
