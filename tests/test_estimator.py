"""The scikit-learn transformer keeps scikit-learn's contract."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from stepwell import SpectralEncoder


@parametrize_with_checks([SpectralEncoder(n_components=3)])
def test_scikit_learn(estimator, check):
    check(estimator)
    assert estimator is not None


def test_parts_add_up():
    X = load_digits().data
    rng = np.random.default_rng(0)
    Y = X + rng.normal(size=X.shape)
    whole = SpectralEncoder(8).fit(X, pairs=Y)
    parts = SpectralEncoder(8).partial_fit(X[:700], pairs=Y[:700])
    parts.partial_fit(X[700:], pairs=Y[700:])
    np.testing.assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-9)
    np.testing.assert_allclose(np.abs(parts.transform(X)), np.abs(whole.transform(X)), atol=1e-6)


def test_what_pairs_share_is_found():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(2000, 1))
    loud = [np.c_[shared, 10 * rng.normal(size=(2000, 3))] for _ in "xy"]
    encoder = SpectralEncoder(1).fit(loud[0], pairs=loud[1])
    found = encoder.transform(loud[0])[:, 0]
    assert abs(np.corrcoef(found, shared[:, 0])[0, 1]) > 0.99


def test_names_and_frames():
    encoder = SpectralEncoder(2).set_output(transform="default").fit(load_digits().data)
    assert list(encoder.get_feature_names_out()) == ["spectralencoder0", "spectralencoder1"]
