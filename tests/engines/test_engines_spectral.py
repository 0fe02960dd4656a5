"""The closed form against dense solvers and against what is known to be true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg

from stepwell.engines import Choice, DenseMoments, Law, SpectralMap, solve, whitening
from stepwell.engines.broad import POWER, SHARES, USES, WHITENED, broad, share_of
from stepwell.engines.quantise import Quantiser
from stepwell.engines.spectral import components, gradient_modes, noise_share
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


def test_broad_features_are_those_of_the_definition():
    """M_a = Σ^(-a/2) Γ Σ^(-a/2) by a dense root of Σ, where all components are kept."""
    law, choice = a_law(24), Choice(k=24, rho=0.3)
    found = broad(law, components(law, choice))
    level = ridge_of(law.sigma, choice.rho * noise_share(law))
    root = linalg.fractional_matrix_power(law.sigma + level * np.eye(24), -WHITENED / 2)
    values, turn = np.linalg.eigh(root @ law.gamma @ root)
    values, turn = values[::-1], turn[:, ::-1]
    exact = root @ turn * (np.maximum(values, 0) / values[0]) ** POWER
    x = np.random.default_rng(2).normal(size=(6, 24))
    kept = found.vectors.shape[1]
    ours, theirs = x @ found.vectors, x @ exact[:, :kept]
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, rtol=1e-6)


def test_the_share_of_broad_features_in_a_cosine():
    law, choice = a_law(50), Choice(k=10)
    quantiser = Quantiser(np.zeros(50, np.float32), 0.05)
    beside = broad(law, components(law, choice))
    made = SpectralMap.build(quantiser, solve(law, choice), choice, beside)
    features = np.random.default_rng(1).normal(size=(20, 50)).astype(np.float32)
    z = made(features)
    assert made.width == z.shape[1] == made.modes + beside.vectors.shape[1]
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose((z[:, made.modes :] ** 2).sum(1), SHARES[0], rtol=1e-4)
    np.testing.assert_array_equal(SpectralMap.from_state(*made.state())(features), z)
    bare = replace(made, broad=None)(features)
    np.testing.assert_allclose(z[:, : made.modes], (1 - SHARES[0]) ** 0.5 * bare, rtol=1e-4)


@pytest.mark.parametrize(("units", "share"), [(4000, SHARES[0]), (100, SHARES[0]), (50, SHARES[1])])
def test_broad_features_weigh_more_where_units_are_scarce(units, share):
    assert share_of(replace(a_law(50), units=units)) == pytest.approx(share)


def test_pairs_that_share_nothing_have_no_broad_features():
    law = a_law(30)
    against = replace(law, gamma=-np.eye(30))
    beside = broad(against, components(against, Choice(k=30)))
    assert beside.vectors.shape == (30, 0)
    assert beside.share == 0


@pytest.mark.parametrize("use", USES)
def test_asking_for_a_use_gives_the_cosines_of_that_use(use):
    law, choice = a_law(50), Choice(k=10)
    quantiser = Quantiser(np.zeros(50, np.float32), 0.05)
    beside = broad(law, components(law, choice))
    made = SpectralMap.build(quantiser, solve(law, choice), choice, beside)
    features = np.random.default_rng(1).normal(size=(20, 50)).astype(np.float32)
    wanted = made.weighted(use)(features)
    np.testing.assert_allclose(
        made(features) @ made.asking(made(features)[0], use), wanted @ wanted[0], atol=1e-5
    )
