"""The closed form against dense solvers and against what is known to be true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from stepwell.engines import Choice, DenseMoments, Law, SpectralMap, solve, whitening
from stepwell.engines.quantise import Quantiser
from stepwell.engines.spectral import gradient_modes
from stepwell.kit.linalg import ridge_of, symmetric_top, top_modes
from stepwell.staircase.theory import pair_matrix, positive_modes


def a_law(d: int, n: int = 4000, seed: int = 0) -> Law:
    """Pairs that share a signal, each with noise of its own."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, d)) * np.geomspace(1, 0.02, d)
    x, y = (signal + 0.3 * rng.normal(size=(n, d)) for _ in "ab")
    gamma = (x.T @ y + y.T @ x) / (2 * n)
    return Law(np.zeros(d), gamma, (x.T @ x + y.T @ y) / (2 * n), n)


@pytest.mark.parametrize(("d", "k"), [(40, 10), (900, 60)])
def test_modes_are_those_of_a_dense_solver(d, k):
    law = a_law(d)
    values, vectors = top_modes(law.gamma, law.sigma, 0.1, k)
    level = ridge_of(law.sigma, 0.1)
    exact = linalg.eigh(law.gamma, law.sigma + level * np.eye(d), eigvals_only=True)[::-1][:k]
    np.testing.assert_allclose(values, exact, atol=3e-3)  # a nearly flat spectrum: the hardest
    metric = vectors.T @ (law.sigma + level * np.eye(d)) @ vectors
    np.testing.assert_allclose(metric, np.eye(k), atol=1e-6)


def test_no_eigenvalue_exceeds_one():
    modes = solve(a_law(60), Choice(k=60, rho=1e-6))
    assert 0 < modes.values.min() <= modes.values.max() <= 1 + 1e-9


def test_negative_eigenvalues_never_come_out():
    law = a_law(30)
    flipped = Law(law.mu, -law.gamma, law.sigma, law.units)
    assert len(solve(flipped, Choice(k=30)).values) < 10


def test_a_matrix_of_low_rank():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 800))
    values, _ = symmetric_top(x.T @ x, 40)
    exact = np.linalg.eigvalsh(x @ x.T)[::-1]
    np.testing.assert_allclose(values[:3], exact, rtol=1e-5)
    assert np.abs(values[3:]).max() < 1e-3 * exact[0]


def test_the_same_call_gives_the_same_bits():
    law = a_law(800)
    one, two = (solve(law, Choice(k=50)) for _ in "ab")
    np.testing.assert_array_equal(one.vectors, two.vectors)


def test_whitened_features_have_equal_variance():
    law = a_law(50)
    modes = whitening(law, Choice(k=20, rho=1e-9, alpha=0.0))
    variance = np.diag(modes.vectors.T @ law.sigma @ modes.vectors)
    np.testing.assert_allclose(variance, 1, rtol=1e-3)


def test_embeddings_have_unit_length_and_survive_saving():
    law = a_law(50)
    choice = Choice(k=10)
    quantiser = Quantiser(np.zeros(50, np.float32), 0.05)
    made = SpectralMap.build(quantiser, solve(law, choice), choice)
    features = np.random.default_rng(1).normal(size=(20, 50)).astype(np.float32)
    z = made(features)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(SpectralMap.from_state(*made.state())(features), z)


def test_the_gradient_order_is_that_of_plain_features():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(3000, 12)) * np.geomspace(1, 0.1, 12) + 0.5
    x, y = (signal + 0.05 * rng.normal(size=signal.shape) for _ in "ab")
    quantiser = Quantiser.fit(np.concatenate([x, y]).astype(np.float32))
    codes = [np.asarray(quantiser(side.astype(np.float32))) for side in (x, y)]
    moments = DenseMoments(12)
    unit = np.arange(3000)
    moments.add(np.concatenate(codes), np.concatenate([unit, unit]))
    modes = gradient_modes(moments.law(), quantiser, 5)
    # What the codes stand for, and Γ of that as the theory has it: uncentred, not whitened.
    plain = [quantiser.mean + quantiser.scale * c.astype(float) for c in codes]
    values, vectors = positive_modes(pair_matrix(*plain), 5)
    np.testing.assert_allclose(modes.values, values, rtol=1e-5)
    found = SpectralMap.build(quantiser, modes, Choice(k=5, alpha=0.0))
    z, expected = found.project(codes[0]), plain[0] @ vectors
    np.testing.assert_allclose(np.abs(z), np.abs(expected), atol=1e-4)
