"""Which objectives have a staircase in closed form, and why the others have none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest
from stepwell.staircase import theory

F64 = NDArray[np.float64]
CLOSED = ("barlow_twins", "spectral_contrastive")
OPEN = {
    "vicreg": "its variance term is a hinge on standard deviations, so modes do not decouple",
    "simclr": "it compares directions, so the growth of one mode depends on all others",
}
"""Objectives without a closed form of their dynamics, and why."""


def critical_times_of(objective: str, gamma: F64, start: F64, variance: F64 | None = None) -> F64:
    """Critical times of gradient flow for an objective, (k,).

    Parameters
    ----------
    objective : {"barlow_twins", "spectral_contrastive"}
    gamma : (k,)
        Eigenvalues of Γ.
    start : (k,)
        Effective first singular values.
    variance : (k,), optional
        Of the features along each mode, where the objective needs it: exact if Σ and Γ have
        common eigenvectors, as on whitened features, where it is 1.

    Raises
    ------
    StepwellError
        For an objective without a closed form: nothing is predicted.
    """
    if objective == "barlow_twins":
        return theory.critical_times(gamma, start)
    if objective == "spectral_contrastive":
        variance = np.ones_like(gamma) if variance is None else np.asarray(variance, float)
        ahead = gamma / np.square(variance * start) - 1
        if (gamma <= 0).any() or (ahead <= 0).any():
            raise StepwellError(
                "Expected positive γ and small first singular values, found some that are not: "
                "there is no growth to time."
            )
        return np.asarray(np.log(ahead) / (8 * gamma))
    if objective in OPEN:
        raise StepwellError(
            f"Expected an objective with a closed form ({', '.join(CLOSED)}), found "
            f"{objective!r}: {OPEN[objective]}. Nothing is predicted; log its spectrum and "
            f"look for the steps in it."
        )
    hint = nearest(objective, (*CLOSED, *OPEN))
    raise UsageError(f"Expected an objective ({', '.join(CLOSED)}), found {objective!r}.{hint}")


def contrastive_squares(gamma: F64, variance: F64, start: F64, times: F64) -> F64:
    """sⱼ(t)² of gradient flow on the spectral contrastive loss, (t, k); (12).

    For L = ‖W Σ Wᵀ‖² - 2 tr W Γ Wᵀ (HaoChen et al., NeurIPS 2021) and modes common to Σ and Γ,
    ds²/dt = 8 s² (γ - σ⁴ s²): logistic, from s(0)² to γ / σ⁴.
    """
    end = gamma / np.square(variance)
    late = (end / np.square(start) - 1) * np.exp(-8 * gamma * np.asarray(times)[:, None])
    return np.asarray(end / (1 + late))
