"""The scikit-learn transformer keeps scikit-learn's contract."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError
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
    np.testing.assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-7, atol=1e-9)
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
    np.testing.assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-7, atol=1e-9)
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


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("far", [1e4, 1e6, 1.7e9, -1e12])
def test_a_constant_changes_nothing(far, kind):
    x, y = ((side + far).astype(kind) for side in paired())
    # What the input can still tell: it was rounded when the constant was added.
    near = [side.astype(np.float64) - far for side in (x, y)]
    want = SpectralEncoder(3).fit(near[0], pairs=near[1])
    found = SpectralEncoder(3).fit(x, pairs=y)
    np.testing.assert_allclose(found.eigenvalues_, want.eigenvalues_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.components_, want.components_, rtol=1e-6, atol=1e-9)
    one, other = found.transform(x), want.transform(near[0])
    np.testing.assert_allclose(one, other, atol=4 * np.spacing(abs(far)) + 1e-9)


def test_a_constant_changes_nothing_for_a_bare_x():
    x, _ = paired()
    want = SpectralEncoder(3).fit(x).eigenvalues_
    np.testing.assert_allclose(SpectralEncoder(3).fit(x + 1.7e9).eigenvalues_, want, rtol=1e-6)


@pytest.mark.parametrize("far", [0.0, 1.7e9])
@pytest.mark.parametrize("sizes", [[64] * 6 + [1], [1] * 385, [384, 1], [1, 384], [2, 380, 3]])
def test_any_split_into_batches_gives_the_same(sizes, far):
    x, y = (side[:385] + far for side in paired())
    whole = SpectralEncoder(3).fit(x, pairs=y)
    parts = SpectralEncoder(3)
    for rows in np.split(np.arange(385), np.cumsum(sizes)[:-1]):
        parts.partial_fit(x[rows], pairs=y[rows])
    assert parts.n_pairs_ == 385
    np.testing.assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(parts.components_, whole.components_, rtol=1e-6, atol=1e-9)


def test_batches_far_apart_give_what_one_fit_does():
    """A trend: each batch lies elsewhere, and the first far from all others."""
    x, y = paired()
    trend = np.repeat([0.0, 1e4, 1e4 + 50, 1e4 - 20], 100)[:, None]
    x, y = x + trend, y + trend
    whole, parts = SpectralEncoder(5).fit(x, pairs=y), SpectralEncoder(5)
    for rows in np.split(np.arange(400), 4):
        parts.partial_fit(x[rows], pairs=y[rows])
    np.testing.assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("size", [1e-100, 1e-8, 1e8, 1e100])
def test_units_do_not_matter(size):
    x, y = paired()
    want = SpectralEncoder(3).fit(x, pairs=y)
    found = SpectralEncoder(3).fit(x * size, pairs=y * size)
    np.testing.assert_allclose(found.eigenvalues_, want.eigenvalues_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.transform(x * size), want.transform(x), atol=1e-7)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_what_float64_can_not_square_is_refused_and_nothing_is_lost(size):
    x, y = paired()
    encoder = SpectralEncoder(3).fit(x, pairs=y)
    want = encoder.eigenvalues_
    with pytest.raises(ValueError, match="scale X"):
        SpectralEncoder(3).fit(x * size, pairs=y * size)
    if size > 1:
        with pytest.raises(ValueError, match="scale X"):
            encoder.partial_fit(x * size, pairs=y * size)
        assert encoder.n_pairs_ == len(x)
        encoder.partial_fit(x, pairs=y)
        np.testing.assert_allclose(encoder.eigenvalues_, want, atol=0.05)


@pytest.mark.parametrize("far", [0.0, 1e9])
def test_columns_that_repeat_or_stand_still_add_no_component(far):
    x, y = paired()
    still = np.full((len(x), 3), 0.1 + far)
    wide = [np.c_[side, -side, still, side[:, :1] * 1e-6] for side in (x, y)]
    found = SpectralEncoder(64).fit(wide[0] + far, pairs=wide[1] + far)
    assert len(found.eigenvalues_) <= 10
    assert np.isfinite(found.transform(wide[0] + far)).all()
    other = SpectralEncoder(64).fit(wide[0], pairs=wide[1])
    assert len(other.eigenvalues_) == len(found.eigenvalues_)
    np.testing.assert_allclose(found.eigenvalues_, other.eigenvalues_, atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_refused(wrong):
    x, y = paired()
    broken = y.copy()
    broken[3, 4] = wrong
    encoder = SpectralEncoder(3).partial_fit(x, pairs=y)
    for rows, partners in ((broken, y), (x, broken)):
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            encoder.partial_fit(rows, pairs=partners)
    assert encoder.n_pairs_ == len(x)


def test_rows_may_come_one_at_a_time():
    x, y = paired(n=50)
    encoder = SpectralEncoder(3).partial_fit(x[:1], pairs=y[:1])
    with pytest.raises(NotFittedError, match="at least 2 pairs to solve from, found 1"):
        encoder.transform(x)
    with pytest.raises(ValueError, match="0 sample"):
        encoder.partial_fit(x[:0], pairs=y[:0])
    for row in range(1, 50):
        encoder.partial_fit(x[row : row + 1], pairs=y[row : row + 1])
    assert encoder.n_pairs_ == 50


def test_a_bare_row_at_a_time_is_masked_by_the_mean_so_far():
    x, _ = paired(n=600)
    want, found = SpectralEncoder(3).fit(x).eigenvalues_, SpectralEncoder(3)
    for row in x:
        found.partial_fit(row[None])
    np.testing.assert_allclose(found.eigenvalues_, want, atol=0.1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n_components", [0, -1, 0.9, 2.0, "all", "mle", None, True, np.True_, np.nan]),
        ("rho", [-0.1, np.nan, np.inf, "auto", None, True]),
        ("alpha", [-1, np.nan, np.inf, "auto", None, False]),
        ("mask", [-0.1, 1, 1.5, np.nan, "half", None, True]),
        ("random_state", [-1, 0.5, "seed", True]),
    ],
)
def test_senseless_parameters_are_refused(name, values):
    x, y = paired(n=20)
    for value in values:
        encoder = SpectralEncoder().set_params(**{name: value})
        for fit in (encoder.fit, encoder.partial_fit):
            with pytest.raises(InvalidParameterError, match=name):
                fit(x, pairs=y)


@pytest.mark.parametrize("k", [1, np.int8(100), np.int64(3), np.uint16(3), 10**6])
def test_whole_numbers_of_all_kinds_are_components(k):
    x, y = paired()
    found = SpectralEncoder(k, rho=np.float32(0.5), alpha=1, mask=0).fit(x, pairs=y)
    assert 1 <= found.transform(x).shape[1] <= min(int(k), 10)
