"""What theory says, against closed forms, its own limits, and training in numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from sklearn.datasets import load_digits

from stepwell.interfaces import StepwellError
from stepwell.staircase import kernels, objectives, theory
from stepwell.staircase.simulate import crossings, descend, flow, records, small_weights


def digit_pairs(n=300, seed=0):
    """Digits and the same shifted by a pixel and made noisy: (n, 64) each."""
    images = load_digits().images[:n] / 16
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        moved = np.stack([np.roll(im, rng.integers(-1, 2), axis=rng.integers(2)) for im in images])
        sides.append((moved + 0.1 * rng.standard_normal(moved.shape)).reshape(n, -1))
    return sides


def spread_gamma(seed=0):
    """Γ (30, 30) with eigenvalues 1, ½, ¼ … in a random basis."""
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((30, 30)))[0]
    return (turn * 0.5 ** np.arange(30)) @ turn.T


def compared(gamma, weights, gentle=0.02):
    rate = gentle / theory.positive_modes(gamma, 1)[0][0]
    modes = theory.predict(gamma, weights, rate=rate)
    trace = descend(gamma, weights, rate, records(2 * modes.times.max(), 500))
    return modes, trace, crossings(trace.times, trace.eigenvalues)[: len(modes.times)]


# Γ and its modes


def test_pair_matrix_is_the_mean_of_products():
    x, y = digit_pairs(50)
    direct = sum(np.outer(a, b) + np.outer(b, a) for a, b in zip(x, y, strict=True)) / 100
    np.testing.assert_allclose(theory.pair_matrix(x, y), direct, atol=1e-12)


def test_centring_removes_the_mean_of_all_rows():
    x, y = digit_pairs(50)
    centred = theory.pair_matrix(x, y, centred=True)
    np.testing.assert_allclose(centred, theory.pair_matrix(x + 7, y + 7, centred=True), atol=1e-9)
    mean = (x.mean(0) + y.mean(0)) / 2
    np.testing.assert_allclose(centred, theory.pair_matrix(x - mean, y - mean), atol=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), "one shape"),
        (np.ones(3), np.ones(3), "one shape"),
        (np.ones((0, 2)), np.ones((0, 2)), "one shape"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "NaN"),
        (np.full((3, 2), np.inf), np.ones((3, 2)), "infinity"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(x, y, said):
    with pytest.raises(StepwellError, match=said):
        theory.pair_matrix(x, y)


@pytest.mark.parametrize("gamma", [np.zeros((4, 4)), -np.eye(4)])
def test_nothing_shared_is_said(gamma):
    with pytest.raises(StepwellError, match="no positive eigenvalue"):
        theory.predict(gamma, small_weights(2, 4, 1e-4, 0))


def test_constant_features_are_refused_where_they_are_centred():
    x = np.ones((20, 5))
    with pytest.raises(StepwellError, match="constant"):
        theory.positive_modes(theory.pair_matrix(x, x, centred=True), 2)


@pytest.mark.parametrize(
    "gamma", [np.ones((2, 3)), np.full((2, 2), np.nan), np.triu(np.ones((3, 3)))]
)
def test_a_matrix_that_is_no_gamma_is_refused(gamma):
    with pytest.raises(StepwellError, match="symmetric"):
        theory.positive_modes(gamma, 1)


@pytest.mark.parametrize("weights", [np.ones((2, 5)), np.ones(30), np.full((2, 30), np.nan)])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(StepwellError, match="initial weights"):
        theory.predict(spread_gamma(), weights)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, 10.0])
def test_a_rate_at_which_descent_does_not_settle_is_refused(rate):
    gamma = spread_gamma()
    with pytest.raises(StepwellError, match="learning rate"):
        theory.predict(gamma, small_weights(3, 30, 1e-4, 0), rate=rate)


def test_partners_that_are_opposites_share_nothing():
    x = np.random.default_rng(0).standard_normal((50, 6))
    with pytest.raises(StepwellError, match="no positive eigenvalue"):
        theory.positive_modes(theory.pair_matrix(x, -x), 3)


def test_weights_that_miss_a_direction_are_refused():
    with pytest.raises(StepwellError, match="miss a direction"):
        theory.predict(np.diag([2.0, 1.0]), np.array([[1.0, 0.0], [2.0, 0.0]]) * 1e-4)


def test_weights_that_are_not_small_are_refused():
    with pytest.raises(StepwellError, match="small initial weights"):
        theory.predict(spread_gamma(), small_weights(3, 30, 1.0, 0))


@given(st.integers(0, 200), st.floats(3, 7))
def test_a_large_gap_after_the_last_mode_is_no_trouble(seed, gap):
    gamma = np.diag([1.0, 10**-gap, 1e-11])
    modes = theory.predict(gamma, small_weights(2, 3, 1e-4, seed), rate=0.01)
    assert np.isfinite(modes.times).all()
    assert (modes.times > 0).all()


def test_an_embedding_of_no_dimension_is_refused():
    with pytest.raises(StepwellError, match="at least one"):
        theory.positive_modes(np.eye(3), 0)


def test_more_dimensions_than_positive_eigenvalues_stay_empty():
    gamma = np.diag([3.0, 1.0, -1.0, -2.0])
    modes = theory.predict(gamma, small_weights(4, 4, 1e-4, 0))
    assert modes.lost == 2
    assert modes.final_loss == 2
    trace = flow(gamma, small_weights(4, 4, 1e-4, 0), np.linspace(0, 30, 50))
    assert trace.loss[-1] == pytest.approx(2, abs=1e-3)


# curves


@given(
    st.floats(1e-3, 1e3),
    st.floats(1e-8, 1e-2),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=6),
)
def test_singular_values_never_overflow_and_never_fall(gamma, start, times):
    times = np.sort(times)
    start = start / np.sqrt(gamma)  # begins below its end
    sizes = theory.singular_values(np.array([gamma]), np.array([start]), times)[:, 0]
    assert np.isfinite(sizes).all()
    assert (np.diff(sizes) >= -1e-12).all()
    assert (sizes >= start * (1 - 1e-9)).all()
    assert (sizes <= gamma**-0.5 * (1 + 1e-9)).all()


@given(st.floats(0.01, 10), st.floats(1e-6, 1e-2), st.floats(0, 1))
def test_the_safe_form_is_the_papers(gamma, start, share):
    start = start / np.sqrt(gamma)
    time = share * 20 / (8 * gamma)
    plain = np.exp(4 * gamma * time) / np.sqrt(start**-2 + np.expm1(8 * gamma * time) * gamma)
    safe = theory.singular_values(np.array([gamma]), np.array([start]), [time])[0, 0]
    assert safe == pytest.approx(plain, rel=1e-9)


@given(st.floats(0.01, 10), st.floats(1e-9, 1e-3))
def test_a_mode_is_at_half_at_its_critical_time(gamma, start):
    start = start / np.sqrt(gamma)
    time = theory.critical_times(np.array([gamma]), np.array([start]))
    half = gamma * theory.singular_values(np.array([gamma]), np.array([start]), time)[0, 0] ** 2
    assert half == pytest.approx(0.5, rel=2e-3)


def test_steps_become_flow_as_the_rate_goes_to_nothing():
    gamma, start = np.array([2.0, 0.3]), np.array([1e-4, 2e-4])
    steps = theory.critical_times(gamma, start, rate=1e-6)
    np.testing.assert_allclose(steps * 1e-6, theory.critical_times(gamma, start), rtol=1e-4)


def test_the_minimum_norm_map_has_no_loss_and_least_norm():
    gamma = theory.pair_matrix(*digit_pairs())
    least = theory.minimum_norm(gamma, 5)
    np.testing.assert_allclose(least @ gamma @ least.T, np.eye(5), atol=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(5):  # other maps without loss: other positive eigenvectors
        values, vectors = theory.positive_modes(gamma, 30)
        pick = rng.permutation(len(values))[:5]
        other = (vectors[:, pick] / np.sqrt(values[pick])).T
        assert np.linalg.norm(other) >= np.linalg.norm(least) - 1e-9


# theory against training


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_training_climbs_the_predicted_staircase(seed):
    gamma = theory.pair_matrix(*digit_pairs(seed=seed))
    weights = small_weights(6, len(gamma), 1e-4, seed)
    modes, trace, seen = compared(gamma, weights, gentle=0.01)
    error = np.abs(seen / modes.times - 1)[~modes.tied]
    assert np.median(error) <= 0.005
    assert error.max() <= 0.03
    assert abs(trace.loss[-1] - modes.final_loss) <= 1e-3
    assert abs(theory.alignment(trace.weights, modes.vectors) - modes.alignment) <= 0.01
    own = theory.caught(trace.weights, modes.vectors)[modes.whole]
    assert own.min() >= 0.98


def test_well_apart_modes_are_predicted_to_the_last_map():
    gamma, weights = spread_gamma(), small_weights(4, 30, 1e-9, 3)
    modes, trace, seen = compared(gamma, weights)
    assert not modes.tied.any()
    np.testing.assert_allclose(seen, modes.times, rtol=0.01)
    assert theory.alignment(trace.weights, modes.vectors) > 0.999
    sizes = np.linalg.svd(trace.weights, compute_uv=False)
    np.testing.assert_allclose(np.sort(sizes), np.sort(modes.gamma**-0.5), rtol=1e-3)
    np.testing.assert_allclose(trace.weights, theory.final_map(gamma, weights), atol=0.05)


def test_the_last_dimension_is_shared_with_what_comes_after():
    gamma, shares, seen = np.diag([1.0, 0.3, 0.29, 0.28]), [], []
    for seed in range(12):
        weights = small_weights(2, 4, 1e-4, seed)
        modes, trace, measured = compared(gamma, weights)
        shares.append(modes.alignment - theory.alignment(trace.weights, modes.vectors))
        seen.append(np.abs(measured / modes.times - 1).max())
    assert np.abs(shares).max() < 0.02
    assert np.max(seen) < 0.02


def test_near_ties_are_named():
    gamma = np.diag([1.0, 0.99, 0.1])
    modes = theory.predict(gamma, np.array([[1, 0.1, 0.3], [0.2, 1, 0.5], [0.1, 0.2, 1]]) * 1e-4)
    assert modes.tied.tolist() == [True, True, False]


def test_modes_come_in_the_order_of_their_times():
    modes = theory.predict(np.diag([1.0, 0.9]), np.array([[1e-9, 0.0], [0.0, 1e-3]]))
    assert (np.diff(modes.times) >= 0).all()
    assert modes.gamma.tolist() == [0.9, 1.0]


def test_flow_and_small_steps_agree():
    gamma, weights = spread_gamma(), small_weights(3, 30, 1e-3, 0)
    modes = theory.predict(gamma, weights)
    times = np.linspace(0, 1.5 * modes.times.max(), 60)
    flowed = flow(gamma, weights, times)
    rate = 1e-3
    steps = np.round(times / rate)
    stepped = descend(gamma, weights, rate, steps)
    np.testing.assert_allclose(flowed.eigenvalues, stepped.eigenvalues, atol=0.02)
    np.testing.assert_allclose(flowed.eigenvalues, theory.eigenvalues(modes, times), atol=0.03)
    np.testing.assert_allclose(flowed.loss, theory.loss(modes, times), atol=0.05)


def test_a_rate_that_is_too_large_is_said():
    with pytest.raises(StepwellError, match="diverging"):
        descend(np.eye(3), small_weights(2, 3, 1, 0), 10.0, records(100))


# kernels


def test_the_linear_kernel_is_the_linear_model():
    x, y = digit_pairs(60)
    rows = np.vstack([x, y])
    features = kernels.features_of(rows @ rows.T)
    np.testing.assert_allclose(features @ features.T, rows @ rows.T, atol=1e-8)
    ours = theory.positive_modes(theory.pair_matrix(features[:60], features[60:]), 8)[0]
    np.testing.assert_allclose(ours, theory.positive_modes(theory.pair_matrix(x, y), 8)[0])


def test_a_kernel_model_climbs_its_staircase():
    x, y = digit_pairs(80)
    rows = np.vstack([x, y])
    features = kernels.features_of(kernels.rbf(rows, rows))
    gamma = theory.pair_matrix(features[:80], features[80:])
    modes, _, seen = compared(gamma, small_weights(5, 160, 1e-4, 0), gentle=0.01)
    error = np.abs(seen / modes.times - 1)[~modes.tied]
    assert len(error) >= 2
    assert np.median(error) <= 0.01


@pytest.mark.parametrize("kernel", [np.ones((2, 3)), np.full((2, 2), np.nan), np.diag([1.0, -1.0])])
def test_what_is_no_kernel_is_refused(kernel):
    with pytest.raises(StepwellError, match="kernel"):
        kernels.features_of(kernel)


def test_a_kernel_of_equal_rows_needs_a_width():
    with pytest.raises(StepwellError, match="width"):
        kernels.rbf(np.ones((3, 2)), np.ones((3, 2)))
    assert kernels.rbf(np.ones((3, 2)), np.ones((3, 2)), 1.0).tolist() == np.ones((3, 3)).tolist()


@pytest.mark.parametrize("name", ["vicreg", "simclr", "barlow_twin"])
def test_where_there_is_no_closed_form_nothing_is_predicted(name):
    with pytest.raises(StepwellError, match="Expected an objective"):
        objectives.critical_times_of(name, np.ones(2), np.ones(2))


def test_spectral_contrastive_learning_has_steps_of_its_own():
    gamma, variance = np.array([0.5, 0.2]), np.array([1.0, 0.7])
    start, times = np.array([1e-4, 1e-4]), np.linspace(0, 40, 400)
    squares = objectives.contrastive_squares(gamma, variance, start, times)

    # The gradient of ‖WΣWᵀ‖² - 2 tr WΓWᵀ for a W that is aligned already.
    def downhill(_, s):
        return 4 * gamma * s - 4 * variance**2 * s**3

    solved = solve_ivp(downhill, (0, 40), start, t_eval=times, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(squares, solved.y.T**2, rtol=1e-4, atol=1e-9)
    half = objectives.critical_times_of("spectral_contrastive", gamma, start, variance)
    for j in range(2):
        at = objectives.contrastive_squares(gamma, variance, start, half[j : j + 1])[0, j]
        assert at == pytest.approx(gamma[j] / variance[j] ** 2 / 2)


def test_barlow_twins_is_the_papers():
    gamma, start = np.array([2.0, 0.5]), np.array([1e-4, 1e-5])
    ours = objectives.critical_times_of("barlow_twins", gamma, start)
    np.testing.assert_allclose(ours, -np.log(start**2 * gamma) / (8 * gamma))
