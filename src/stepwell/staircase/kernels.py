"""The staircase of kernel models: the linear one, in features whose inner products they are.

For a kernel K̃ over all 2n examples and partners, Γ becomes K̃^½ (1/2n)[[0, I], [I, 0]] K̃^½,
which is :func:`~stepwell.staircase.theory.pair_matrix` of the rows of K̃^½ (Simon et al.,
ICML 2023, section 5). An infinitely wide network is such a model, with its neural tangent
kernel (Jacot, Gabriel & Hongler, NeurIPS 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError
from stepwell.staircase.theory import pair_matrix

F64 = NDArray[np.float64]
_NUMBERS = 2**24
"""Derivatives of a block of inputs that are held at a time."""


def rbf(x: F64, other: F64, width: float | None = None) -> F64:
    """exp(-‖x - y‖² / 2σ²); σ = ``width``, by default the median distance within ``x``."""
    squares = _squares(x, other)
    if width is None:
        within = _squares(x, x)
        width = float(np.sqrt(np.median(within[~np.eye(len(x), dtype=bool)])))
    if width <= 0:
        raise StepwellError(f"Expected a positive width of the kernel, found {width}.")
    return np.asarray(np.exp(-squares / (2 * width**2)))


def _squares(x: F64, other: F64) -> F64:
    lengths = np.square(x).sum(1)[:, None] + np.square(other).sum(1)
    return np.asarray(np.maximum(lengths - 2 * x @ other.T, 0))


def features_of(kernel: F64) -> F64:
    """K^½ (m, m), symmetric: row i is example i. Negative eigenvalues, of rounding, become 0."""
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not np.isfinite(kernel).all():
        raise StepwellError(
            f"Expected a finite square kernel of all examples, found shape {kernel.shape}."
        )
    values, vectors = np.linalg.eigh((kernel + kernel.T) / 2)
    if values[0] < -1e-6 * max(values[-1], 1e-300):
        raise StepwellError(
            f"Expected a positive semidefinite kernel, found the eigenvalue {values[0]:.3g}."
        )
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def pair_matrix_of(kernel: F64) -> F64:
    """Γ of a kernel model, (m, m), in features K^½: (10).

    Parameters
    ----------
    kernel : (m, m)
        Of all examples, then of their partners in the same order.
    """
    return pair_matrix(*np.split(features_of(kernel), 2))


def tangent_kernel(module: Any, inputs: Any, *, block: int | None = None) -> F64:
    """Empirical neural tangent kernel of a torch module at its present weights, (m, m) float64.

    Parameters
    ----------
    module : torch.nn.Module
        From a batch of inputs to (m, d) outputs.
    inputs : (m, …) tensor
    block : int
        Inputs at a time; memory is a few times ``block``·d·parameters. None: as many as keep
        that small.

    Notes
    -----
    Mean over outputs of ⟨∂f_o(x), ∂f_o(y)⟩: a wide network's tangent kernel is, to leading
    order, the same for all its outputs and zero between two of them.
    """
    import torch
    from torch.func import functional_call, jacrev, vmap

    weights = {name: value.detach() for name, value in module.named_parameters()}

    def outputs(values: dict[str, Any], one: Any) -> Any:
        return functional_call(module, values, (one[None],))[0]

    def jacobian(rows: Any) -> Any:
        found = vmap(jacrev(outputs), (None, 0))(weights, rows)
        return torch.cat([part.flatten(2) for part in found.values()], dim=2)

    if block is None:
        numbers = sum(value.numel() for value in weights.values()) * module(inputs[:1]).shape[1]
        block = max(1, min(16, _NUMBERS // numbers))
    kernel = np.empty((len(inputs), len(inputs)))
    blocks = [slice(i, i + block) for i in range(0, len(inputs), block)]
    for number, rows in enumerate(blocks):
        first = jacobian(inputs[rows])
        for columns in blocks[number:]:  # made anew each time: all at once can be gigabytes
            second = first if columns == rows else jacobian(inputs[columns])
            product = torch.einsum("aop,bop->ab", first, second).double().cpu().numpy()
            kernel[rows, columns] = product / first.shape[1]
            kernel[columns, rows] = kernel[rows, columns].T
    return kernel
