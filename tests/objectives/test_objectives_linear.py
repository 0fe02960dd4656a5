"""Linear maps trained to the end reach what theory says, where it says something."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import subspace_angles

torch = pytest.importorskip("torch", reason="torch is an optional part")

from stepwell.objectives import OBJECTIVES  # noqa: E402

N, WIDE, K = 3000, 6, 2
STEPS = 2000
SHARED = np.array([0.9, 0.7, 0.45, 0.3, 0.15, 0.05])
"""Eigenvalues of Γ̃: gaps of .1 and more."""


@pytest.fixture(scope="module")
def pairs():
    """(x, partner) of one another's law, with Σ far from the identity, and their moments."""
    rng = np.random.default_rng(0)
    shared, own, other = rng.standard_normal((3, N // 2, WIDE))
    white = [shared * np.sqrt(SHARED) + each * np.sqrt(1 - SHARED) for each in (own, other)]
    mix = rng.standard_normal((WIDE, WIDE)) + 2 * np.diag(np.arange(1, WIDE + 1))
    x, partner = (side @ mix for side in white)
    x, partner = np.concatenate([x, partner]), np.concatenate([partner, x])
    x, partner = x - x.mean(0), partner - x.mean(0)
    return x, partner, x.T @ x / N, x.T @ partner / N


def half(sigma):
    """Σ^-½."""
    values, vectors = np.linalg.eigh(sigma)
    return vectors / np.sqrt(values) @ vectors.T


def top(pairs):
    """The top K eigenvalues and eigenvectors of Γ̃, and Σ^-½."""
    _, _, sigma, gamma = pairs
    root = half(sigma)
    values, vectors = np.linalg.eigh(root @ gamma @ root)
    return values[::-1][:K], vectors[:, ::-1][:, :K], root


def trained(name, pairs, **options):
    """(K, WIDE) a linear map trained on all pairs by L-BFGS in float64."""
    torch.manual_seed(0)
    objective = OBJECTIVES[name](K, **options)
    x, partner = (torch.tensor(side) for side in pairs[:2])
    # From whitened coordinates: the optimum is the same, and it is found in a few steps.
    root = torch.tensor(half(pairs[2]))
    weights = (0.3 * torch.randn(K, WIDE, dtype=torch.float64)).requires_grad_(True)
    descent = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        descent.zero_grad()
        w = weights @ root
        found = objective.pair(x @ w.T, partner @ w.T)
        found.backward()
        return found

    descent.step(loss)
    if name == "vicreg":  # its hinge has a kink, at which line searches give up
        descent = torch.optim.Adam([weights], lr=0.02)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(descent, STEPS)
        for _ in range(STEPS):
            loss()
            descent.step()
            falling.step()
    return (weights @ root).detach().numpy()


def test_spectral_contrastive_is_the_closed_form(pairs):
    values, vectors, root = top(pairs)
    w = trained("spectral_contrastive", pairs)
    expected = root @ (vectors * values) @ vectors.T @ root
    assert np.abs(w.T @ w - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vicreg", {"invariance": 25.0, "variance": 100.0, "covariance": 100.0}),
        ("barlow_twins", {"off": 1.0}),
    ],
)
def test_others_span_the_same_where_their_covariance_weighs_enough(pairs, name, options):
    _, vectors, root = top(pairs)
    w = trained(name, pairs, **options)
    angle = subspace_angles(w.T, root @ vectors).max()
    assert angle < 1e-2


def test_regression_spans_the_linear_discriminants():
    """Of balanced classes: the top of Σ⁻¹ times the covariance of class means."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), N // 4)
    means = rng.standard_normal((4, WIDE)) * [3, 2, 1, 1, 1, 1]
    x = means[labels] + rng.standard_normal((len(labels), WIDE)) * np.arange(1, WIDE + 1)
    x -= x.mean(0)
    torch.manual_seed(0)
    objective = OBJECTIVES["regression"](K, {"class": (1, 4)}).double()
    objective.head = torch.nn.Linear(K, 4).double()
    root = torch.tensor(half(x.T @ x / len(x)))
    weights = (0.3 * torch.randn(K, WIDE, dtype=torch.float64)).requires_grad_(True)
    descent = torch.optim.LBFGS(
        [weights, *objective.parameters()], max_iter=500, line_search_fn="strong_wolfe"
    )
    data, told = torch.tensor(x), {"class": torch.tensor(labels)}

    def loss():
        descent.zero_grad()
        found = objective.loss([data @ (weights @ root).T], [], told)
        found.backward()
        return found

    for _ in range(5):
        descent.step(loss)
    centres = np.stack([x[labels == c].mean(0) for c in range(4)])
    between = half(x.T @ x / len(x)) @ centres.T @ centres @ half(x.T @ x / len(x)) / 4
    top = half(x.T @ x / len(x)) @ np.linalg.eigh(between)[1][:, ::-1][:, :K]
    found = (weights @ root).detach().numpy()
    assert subspace_angles(found.T, top).max() < 1e-2
