"""Sets of labels hold what they promise; strange examples are called so."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from stepwell.adapt import Held, Sets, fewest, least_sure
from stepwell.adapt.calibrate import shares
from stepwell.interfaces import UsageError


def told(count, seed=0, size=1.5):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, count)
    return shares(size * np.eye(4)[truth] + rng.standard_normal((count, 4))), truth


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_hold_the_right_label_as_often_as_promised(coverage):
    p, truth = told(4000, 1)
    found = []
    for seed in range(20):
        held, labels = told(300, seed + 2)
        sets = Sets(Held(held.astype(np.float32), labels), coverage)(p)
        found.append(sets[np.arange(len(p)), truth].mean())
    assert np.mean(found) == pytest.approx(coverage, abs=0.012)


def test_sets_are_smaller_where_it_is_sure():
    sizes = []
    for size in (1, 4):
        held, labels = told(400, 1, size)
        p, _ = told(500, 2, size)
        sizes.append(Sets(Held(held.astype(np.float32), labels))(p).sum(1).mean())
    assert sizes[0] > 1.5 > 1.1 > sizes[1]
    assert Sets(Held(held.astype(np.float32), labels))(p[:0]).shape == (0, 4)


def test_a_promise_needs_labels():
    held, labels = told(8)
    with pytest.raises(UsageError, match=r"12 held-out labels or more .* 90%, found 8"):
        Sets(Held(held.astype(np.float32), labels), 0.9)
    with pytest.raises(UsageError, match=r"coverage from \.5"):
        Sets(Held(held.astype(np.float32), labels), 90)
    for coverage in (0.5, 0.8, 0.9, 0.95, 0.99):
        p, truth = told(fewest(coverage))
        Sets(Held(p.astype(np.float32), truth), coverage)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_are_those_of_mapie(coverage):
    mapie = pytest.importorskip("mapie.classification")

    class AsTold(ClassifierMixin, BaseEstimator):
        classes_ = np.arange(4)

        def __sklearn_is_fitted__(self):
            return True

        def fit(self, x, y):
            return self

        def predict_proba(self, x):
            return x

        def predict(self, x):
            return np.asarray(x).argmax(1)

    held, labels = told(150, 3)
    p, _ = told(500, 4)
    found = mapie.SplitConformalClassifier(
        AsTold(), confidence_level=coverage, conformity_score="lac", prefit=True
    )
    theirs = found.conformalize(held, labels).predict_set(p)[1][:, :, 0]
    np.testing.assert_array_equal(Sets(Held(held, labels), coverage)(p), theirs)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_of_what_is_believed_no_more_than_a_share_is_wrong(rate):
    p, truth = told(4000, 1)
    wrong, kept = [], []
    for seed in range(20):
        held, labels = told(200, seed + 2)
        believed = p.max(1) >= least_sure(Held(held.astype(np.float32), labels), rate)
        wrong.append(np.mean(p[believed].argmax(1) != truth[believed]) if believed.any() else 0)
        kept.append(believed.mean())
    assert np.mean(wrong) <= rate + 0.02
    assert np.mean(kept) > 0.1


def test_what_is_always_right_is_believed_and_chance_is_not():
    truth = np.arange(60) % 4
    sure = np.where(np.eye(4)[truth] > 0, 0.7, 0.1).astype(np.float32)
    assert least_sure(Held(sure, truth), 0.1) == 0
    assert least_sure(Held(sure, np.roll(truth, 1)), 0.1) > 1
    assert least_sure(Held(sure[:8], truth[:8]), 0.1) > 1  # eight promise nothing of a tenth


def test_of_those_that_are_as_sure_all_count_or_none():
    truth = np.zeros(100, int)
    sure = np.tile(np.array([1.0, 0.0], np.float32), (100, 1))
    truth[9:] = 1  # the first nine right, the others wrong, all as sure
    assert least_sure(Held(sure, truth), 0.1) > 1
