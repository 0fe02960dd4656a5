"""What self-supervised learning will learn, when, and in which order: pure functions.

A linear map W (d, D) is trained from small random weights on n pairs (x, x') by gradient
descent on the loss of Barlow Twins with all entries weighted alike,

    L = ‖W Γ Wᵀ - I‖²,   Γ = (1/2n) Σ (x x'ᵀ + x' xᵀ),                       (1)

with Γ *uncentred*. Its embedding then gains one dimension after the other: the direction
of the j-th largest eigenvalue γⱼ grows as e^{4 γⱼ t} until s² γⱼ = 1, and stays. Equations
are numbered as in docs/staircase.md, which derives them.

Source: J. B. Simon, M. Knutins, L. Ziyin, D. Geisz, A. J. Fetterman, J. Albrecht, *On the
Stepwise Nature of Self-Supervised Learning*, ICML 2023 (arXiv 2303.15438), section 4. A
kernel model is the same with features whose inner products are the kernel (section 5):
see :mod:`stepwell.staircase.kernels`. What the last dimension shares, (8) and (9), is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError

F64 = NDArray[np.float64]
SHARED = 1e-3
"""Less than this of the last dimension is not worth naming."""
LARGE = 0.5
"""A dimension that begins with this eigenvalue has come already: nothing is left to predict."""
STABLE = 0.25
"""In units of 1/γ₁, the learning rate beyond which descent never settles: near the end a
deviation of s is multiplied by 1 - 8ηγ at each step."""
APART = 1.5
"""Two modes tie if the later one's eigenvalue is above e^-1.5 when the earlier one crosses: they
then grow as a mixture, and nothing is claimed for either."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Directions that will be learned, in the order of their critical times.

    Attributes
    ----------
    gamma : (m,)
        Eigenvalues of Γ, all positive; m ≤ d.
    vectors : (D, m)
        Their eigenvectors.
    start : (m,)
        Effective initial singular value s(0) of each.
    times : (m,)
        Critical times: of gradient flow, or in steps where a rate was given.
    tied : (m,) bool
        Whether another mode crosses so near that no claim is made for this one alone.
    lost : int
        Dimensions of the embedding that stay empty, d - m.
    shared : float
        Share of the last dimension that goes to directions beyond the m, (9).
    """

    gamma: F64
    vectors: F64
    start: F64
    times: F64
    tied: NDArray[np.bool_]
    lost: int
    shared: float

    @property
    def final_loss(self) -> float:
        """Loss that no training can go below: one for each empty dimension."""
        return float(self.lost)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(m,) which modes have a dimension to themselves: not the last, if it is shared."""
        return np.asarray((self.shared < SHARED) | (self.gamma > self.gamma.min()))

    @property
    def alignment(self) -> float:
        """:func:`alignment` of the trained map with these modes, to leading order."""
        return 1 - self.shared / len(self.gamma)


def pair_matrix(x: F64, partners: F64, *, centred: bool = False) -> F64:
    """Γ = (1/2n) Σ (x x'ᵀ + x' xᵀ), (D, D).

    Parameters
    ----------
    x, partners : (n, D)
        Row i of one is the partner of row i of the other.
    centred : bool
        Subtract the mean of all 2n rows first. The paper does not.

    Raises
    ------
    StepwellError
        For shapes that do not fit, or values that are not finite.
    """
    x, partners = np.asarray(x, np.float64), np.asarray(partners, np.float64)
    if x.ndim != 2 or x.shape != partners.shape or not x.size:
        raise StepwellError(
            f"Expected two arrays of pairs of one shape (n, D), found {x.shape} and "
            f"{partners.shape}: row i of the second is the partner of row i of the first."
        )
    if not (np.isfinite(x).all() and np.isfinite(partners).all()):
        raise StepwellError(
            "Expected finite values, found NaN or infinity: remove or replace these examples."
        )
    if centred:
        mean = (x.mean(0) + partners.mean(0)) / 2
        x, partners = x - mean, partners - mean
    cross = x.T @ partners
    return np.asarray((cross + cross.T) / (2 * len(x)))


def positive_modes(gamma: F64, d: int) -> tuple[F64, F64]:
    """The top d eigenvalues of Γ that are positive, descending, and their eigenvectors (D, m).

    Only these are learned: m < d where there are no more.

    Raises
    ------
    StepwellError
        If there is none, Γ is no symmetric finite matrix, or d < 1.
    """
    if d < 1:
        raise StepwellError(f"Expected an embedding of at least one dimension, found {d}.")
    values, vectors = np.linalg.eigh(_checked(gamma))
    rounding = 1e-12 * max(float(np.abs(values).max()), 1e-288)
    values, vectors = values[::-1][:d], vectors[:, ::-1][:, :d]
    kept = values > rounding
    if not kept.any():
        raise StepwellError(
            "Expected pairs that share something, found no positive eigenvalue: examples are "
            "constant, or partners are no more alike than strangers."
        )
    return values[kept], vectors[:, kept]


def _checked(gamma: F64) -> F64:
    gamma = np.asarray(gamma, np.float64)
    square = gamma.ndim == 2 and gamma.shape[0] == gamma.shape[1] and gamma.size > 0
    if not square or not np.isfinite(gamma).all() or not np.allclose(gamma, gamma.T):
        raise StepwellError(
            f"Expected a symmetric finite matrix Γ, found shape {gamma.shape}"
            f"{'' if square else ' that is not square'}: make it with pair_matrix."
        )
    return gamma


def effective_start(weights: F64, vectors: F64) -> F64:
    """Initial singular values |Rⱼⱼ| of the modes, from the QR of W₀V (section 4.3); (7).

    A generic W₀ has no aligned start, but behaves as if it had: mode j starts with what of
    its direction is orthogonal to those before it.

    Parameters
    ----------
    weights : (d, D)
    vectors : (D, m)
        Eigenvectors of Γ, the largest γ first.

    Returns
    -------
    (m,)
    """
    return np.abs(np.diag(np.linalg.qr(np.asarray(weights, np.float64) @ vectors)[1]))


def predict(gamma: F64, weights: F64, *, rate: float | None = None) -> Modes:
    """Modes that training from ``weights`` will learn, ordered by their critical times.

    Parameters
    ----------
    gamma : (D, D)
    weights : (d, D)
        Small and random.
    rate : float, optional
        Learning rate of gradient descent: times are in steps. None: gradient flow.

    Raises
    ------
    StepwellError
        For a Γ without a positive eigenvalue, weights that do not fit or are not small, or a
        rate at which descent does not settle.
    """
    weights = _checked_weights(weights, len(gamma))
    d = len(weights)
    values, vectors = positive_modes(gamma, len(gamma))
    if rate is not None and not 0 < rate < STABLE / float(values[0]):
        raise StepwellError(
            f"Expected a learning rate above 0 at which gradient descent settles, found {rate:g}: "
            f"take less than 1 / 4γ₁ = {STABLE / float(values[0]):.3g}."
        )
    beyond, rest = values[d:], vectors[:, d:]
    values, vectors = values[:d], vectors[:, :d]
    start = effective_start(weights, vectors)
    if not start.all():
        raise StepwellError(
            "Expected random initial weights, found some that miss a direction: draw them from a "
            "normal distribution."
        )
    if (start**2 * values).max() >= LARGE:
        raise StepwellError(
            f"Expected small initial weights, found an eigenvalue of the embedding of "
            f"{(start**2 * values).max():.2g} at the start: theory holds while that is far "
            f"below 1; make them smaller."
        )
    times, shared = critical_times(values, start, rate), 0.0
    if len(values) == d and len(beyond):
        last = np.linalg.qr(weights @ vectors)[0][:, -1] @ weights
        last = np.concatenate([[start[-1]], last @ rest])
        times[-1], shared = _last_dimension(np.concatenate([values[-1:], beyond]), last, rate)
    order = np.argsort(times, kind="stable")
    values, times = values[order], times[order]
    tied = near_ties(values, times, rate)
    return Modes(values, vectors[:, order], start[order], times, tied, d - len(values), shared)


def _checked_weights(weights: F64, width: int) -> F64:
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 2 or weights.shape[1] != width:
        raise StepwellError(
            f"Expected initial weights (d, {width}), found shape {weights.shape}: "
            f"a column for every row of Γ."
        )
    if not np.isfinite(weights).all():
        raise StepwellError(
            "Expected finite initial weights, found NaN or infinity: draw them from a normal "
            "distribution."
        )
    return weights


def growth(gamma: F64, rate: float | None) -> F64:
    """By how much the logarithm of a small eigenvalue grows per unit of time, or per step."""
    gamma = np.asarray(gamma, np.float64)
    return 8 * gamma if rate is None else 2 * np.log1p(4 * rate * gamma)


def critical_times(gamma: F64, start: F64, rate: float | None = None) -> F64:
    """When each mode passes ½: of gradient flow (5), or in steps of gradient descent (6).

    τⱼ = -log(s(0)² γ) / 8γ, and with 2 log(1 + 4ηγ) in place of 8γ where there is a rate η.

    Parameters
    ----------
    gamma, start : (m,)
        Eigenvalues of Γ, positive, and effective first singular values.
    """
    return np.asarray(-np.log(np.square(start) * gamma) / growth(gamma, rate))


def near_ties(gamma: F64, times: F64, rate: float | None = None) -> NDArray[np.bool_]:
    """(m,) whether the mode before or after, of these ordered ones, crosses too near to tell."""
    ahead = growth(gamma, rate)[1:] * np.diff(times)
    return np.asarray(np.append(ahead < APART, False) | np.insert(ahead < APART, 0, False))


def _last_dimension(gamma: F64, start: F64, rate: float | None) -> tuple[float, float]:
    """Critical time (8) of the last dimension, and the share (9) others than its first have.

    What nothing orthogonalises is a mixture of all directions that are left: one row w with
    w(t) = w(0) e^{4Γθ(t)}, dθ/dt = 1 - w Γ wᵀ, whose eigenvalue is Σ γ w².
    """
    from scipy.optimize import brentq
    from scipy.special import logsumexp

    begun, pace = np.log(gamma) + 2 * np.log(np.abs(start) + 1e-300), growth(gamma, rate)

    def reaches(level: float) -> float:
        """θ at which the eigenvalue is ``level``."""
        late = (log(level) - begun[0]) / pace[0]  # the first direction alone needs so long
        late = late * (1 + 1e-9) + 1e-9  # rounding must not leave it short of the level

        def above(at: float) -> float:
            return float(logsumexp(begun + pace * at)) - log(level)

        return float(brentq(above, 0, late)) if above(0) < 0 < above(late) else max(late, 0.0)

    half, end = reaches(0.5), reaches(1.0)
    mixed = np.exp(begun + pace * half)
    time = half + log(2) / float(mixed @ pace / mixed.sum())
    final = np.exp(begun + pace * end)
    return time, float(final[1:].sum() / final.sum())


def singular_values(gamma: F64, start: F64, times: F64) -> F64:
    """sⱼ(t) of gradient flow, (t, m): e^{4γt} / √(s(0)⁻² + (e^{8γt} - 1) γ), (3).

    Parameters
    ----------
    gamma, start : (m,)
    times : (t,)

    Notes
    -----
    Computed as 1 / √(γ + (s(0)⁻² - γ) e^{-8γt}), which is the same and never overflows.
    """
    fading = np.exp(-8 * gamma * np.asarray(times, np.float64)[:, None])
    return np.asarray(1 / np.sqrt(gamma + (start**-2.0 - gamma) * fading))


def eigenvalues(modes: Modes, times: F64) -> F64:
    """Eigenvalues γⱼ sⱼ² of the embedding's cross-correlation W Γ Wᵀ, (t, m): from 0 to 1."""
    return np.asarray(modes.gamma * singular_values(modes.gamma, modes.start, times) ** 2)


def loss(modes: Modes, times: F64) -> F64:
    """L(t) = Σ (1 - γⱼ sⱼ²)² plus one for each dimension that stays empty, (t,); (4)."""
    return np.asarray(((1 - eigenvalues(modes, times)) ** 2).sum(1) + modes.lost)


def minimum_norm(gamma: F64, d: int) -> F64:
    """W (m, D) = Γ_m^{-½} V_mᵀ: of all W with the least loss the one of least Frobenius norm.

    m ≤ d positive modes (Proposition 4.2). Any rotation of its rows is as good.
    """
    values, vectors = positive_modes(gamma, d)
    return np.asarray((vectors / np.sqrt(values)).T)


def final_map(gamma: F64, weights: F64) -> F64:
    """W (d, D) that training from ``weights`` ends at, to leading order in their size.

    The minimum-norm map, its rows turned by the Q of W₀V = QR.
    """
    values, vectors = positive_modes(gamma, len(weights))
    q, r = np.linalg.qr(np.asarray(weights, np.float64) @ vectors)
    return np.asarray((q * np.sign(np.diag(r))) @ (vectors / np.sqrt(values)).T)


def alignment(weights: F64, vectors: F64) -> float:
    """How much of the row space of W lies in the span of ``vectors`` (D, m), 0 … 1.

    Mean squared cosine of the angles between the two subspaces.
    """
    return float(np.mean(caught(weights, vectors)))


def caught(weights: F64, vectors: F64) -> F64:
    """(m,) how much of each of ``vectors`` (D, m) lies in the row space of W, 0 … 1."""
    _, sizes, rows = np.linalg.svd(weights, full_matrices=False)
    kept = rows[sizes > 1e-6 * sizes[0]]
    return np.asarray(np.square(kept @ vectors).sum(0))
