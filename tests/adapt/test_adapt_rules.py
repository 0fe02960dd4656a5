"""Rules for heads: exact where they are solved another way, clear where they can't be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from stepwell.adapt import rule_of
from stepwell.adapt.rules import WITHIN, logistic
from stepwell.interfaces import UsageError


@pytest.mark.parametrize("made", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_regression_among_examples_is_that_among_features(made, classes):
    rng = np.random.default_rng(0)
    x, truth = rng.normal(size=(40, 300)), np.arange(40) % classes
    x[np.arange(40), truth] += 3
    assert len(x) < min(x.shape[1], WITHIN)
    found = logistic(made(x), truth, 0.5)
    exact = LogisticRegression(C=0.5, max_iter=5000, tol=1e-8).fit(x, truth)
    asked = rng.normal(size=(50, 300))
    scores = found(asked)
    wanted = exact.decision_function(asked)
    ours = scores[:, 1] - scores[:, 0] if classes == 2 else scores
    np.testing.assert_allclose(ours, wanted, atol=2e-2)


def test_examples_of_which_nothing_is_known():
    found = logistic(np.zeros((10, 50)), np.arange(10) % 2, 1.0)
    assert np.allclose(found(np.ones((2, 50))), 0, atol=1e-6)


def test_a_rule_by_name():
    assert rule_of("logistic").fit is logistic
    with pytest.raises(UsageError, match="Did you mean 'kernel'"):
        rule_of("kernal")
