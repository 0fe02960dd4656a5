"""The scikit-learn transformer keeps scikit-learn's contract."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
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


def paired(seed=0, n=400):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 10))
    return z + 0.3 * rng.normal(size=z.shape), z + 0.3 * rng.normal(size=z.shape)


@pytest.mark.parametrize("far", [1e4, -1e6, 1.7e9])
@pytest.mark.parametrize("batch", [400, 64, 1])
def test_what_is_added_to_all_features_changes_nothing(far, batch):
    x, y = paired()
    expected = SpectralEncoder(3).fit(x, pairs=y)
    found = SpectralEncoder(3)
    for i in range(0, len(x), batch):
        found.partial_fit(x[i : i + batch] + far, pairs=y[i : i + batch] + far)
    np.testing.assert_allclose(found.eigenvalues_, expected.eigenvalues_, rtol=1e-4)
    cosine = found.transform(x + far) * expected.transform(x)
    lengths = np.linalg.norm(found.transform(x + far), axis=1)
    lengths *= np.linalg.norm(expected.transform(x), axis=1)
    np.testing.assert_allclose(cosine.sum(1) / lengths, 1, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_the_unit_of_features_changes_nothing(scale):
    x, y = paired()
    expected = SpectralEncoder(3).fit(x, pairs=y).eigenvalues_
    found = SpectralEncoder(3).fit(x * scale, pairs=y * scale).eigenvalues_
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_last_batch_may_have_one_row():
    x, y = paired()
    whole, parts = SpectralEncoder(3).fit(x[:385], pairs=y[:385]), SpectralEncoder(3)
    for i in range(0, 385, 64):
        parts.partial_fit(x[:385][i : i + 64], pairs=y[:385][i : i + 64])
    assert parts.n_pairs_ == 385
    np.testing.assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-9)
    one = SpectralEncoder(3).partial_fit(x[:1], pairs=y[:1])
    with pytest.raises(NotFittedError):
        one.transform(x)
    assert one.partial_fit(x[1:], pairs=y[1:]).transform(x).shape == (400, 3)
    with pytest.raises(ValueError, match="n_samples"):
        SpectralEncoder(3).fit(x[:1], pairs=y[:1])
    with pytest.raises(ValueError, match="0 sample"):
        SpectralEncoder(3).partial_fit(x[:0], pairs=y[:0])


@pytest.mark.parametrize(
    "given",
    [
        *({"n_components": value} for value in (0, -1, 0.9, "all", None, 2.0)),
        *({"rho": value} for value in (-0.1, "x", None)),
        *({"alpha": value} for value in (-1, "x")),
        *({"mask": value} for value in (-0.1, 1.0, 2)),
        {"random_state": "x"},
    ],
)
def test_parameters_that_make_no_sense_are_refused(given):
    with pytest.raises(ValueError, match=f"The '{next(iter(given))}' parameter"):
        SpectralEncoder(**given).fit(paired()[0])


def test_numbers_of_numpy_are_numbers():
    x, y = paired()
    found = SpectralEncoder(np.int64(2), rho=np.float32(0.5)).fit(x, pairs=y)
    assert found.transform(x).shape == (400, 2)
