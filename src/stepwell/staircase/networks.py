"""Small networks trained on pairs, to see how near theory is to them. Needs torch.

A wide one-layer network beside its tangent kernel at the start, and a small convnet with
the losses of Barlow Twins, VICReg and SimCLR. These are instruments: to learn an encoder
for use, take an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Observer, StepwellError, ignore
from stepwell.kit.torch import torch_or_error
from stepwell.staircase.kernels import features_of, tangent_kernel
from stepwell.staircase.records import EVENT, SAMPLES, group, record_of, schedule
from stepwell.staircase.simulate import Trace, records
from stepwell.staircase.theory import Modes, pair_matrix, positive_modes, predict

F64 = NDArray[np.float64]
GENTLE = 0.02
"""Learning rate of gradient descent, in units of one over the largest eigenvalue of Γ."""
PairsOf = Callable[[int], tuple[NDArray, NDArray]]
"""Step → two views of a batch, (b, h, w, c) float in [0, 1]."""


def wide(inputs: int, width: int, outputs: int, seed: int) -> Any:
    """x → V relu(U x / √inputs) √(2 / width), all weights N(0, 1): the tangent parametrisation."""
    torch = torch_or_error()

    class Wide(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            random = torch.Generator().manual_seed(seed)
            self.first = torch.nn.Parameter(torch.randn(width, inputs, generator=random))
            self.last = torch.nn.Parameter(torch.randn(outputs, width, generator=random))

        def forward(self, x: Any) -> Any:
            hidden = torch.relu(x @ self.first.T / inputs**0.5)
            return hidden @ self.last.T * (2 / width) ** 0.5

    return Wide().double()


def wide_run(
    x: F64, partners: F64, width: int, outputs: int, seed: int, *, start: float = 1e-3
) -> tuple[Modes, Trace]:
    """A wide network trained on pairs, and what its tangent kernel at the start predicts.

    Parameters
    ----------
    x, partners : (n, D)
    width : int
        Hidden units.
    outputs : int
        Dimensions of the embedding.
    start : float
        All but this share of the first outputs is subtracted for good: the embedding then
        starts small while the tangent kernel stays what it is.

    Returns
    -------
    Modes, Trace
        Times in steps of gradient descent on all pairs; the trace has no weights.
    """
    torch = torch_or_error()
    net = wide(x.shape[1], width, outputs, seed)
    rows = torch.from_numpy(np.vstack([x, partners]).astype(np.float64))
    kernel = tangent_kernel(net, rows)
    with torch.no_grad():
        offset = (1 - start) * net(rows)
        first = net(rows) - offset
    features = features_of(kernel)
    gamma = pair_matrix(features[: len(x)], features[len(x) :])
    weights = np.linalg.lstsq(features, first.numpy(), rcond=None)[0].T
    rate = GENTLE / float(positive_modes(gamma, 1)[0][0])
    modes = predict(gamma, weights, rate=rate)
    times = records(1.5 * float(modes.times[-1]), 300)
    eye, crosses, losses, done = torch.eye(outputs, dtype=torch.float64), [], [], 0
    descent = torch.optim.SGD(net.parameters(), lr=rate)
    for stop in times.astype(int):
        for _ in range(stop - done):
            descent.zero_grad()
            (_cross(net(rows) - offset) - eye).square().sum().backward()
            descent.step()
        done = int(stop)
        with torch.no_grad():
            cross = _cross(net(rows) - offset)
        crosses.append(torch.linalg.eigvalsh(cross).flip(0).numpy())
        losses.append(float((cross - eye).square().sum()))
    return modes, Trace(times, np.array(crosses), np.array(losses), np.empty((outputs, 0)))


def _cross(z: Any) -> Any:
    """Cross-correlation of the first half of the rows with the second, symmetric."""
    x, partners = z.chunk(2)
    product = x.T @ partners
    return (product + product.T) / (2 * len(x))


def convnet(channels: int, outputs: int, seed: int, *, scale: float = 1.0, width: int = 12) -> Any:
    """Three strided convolutions and a linear layer, torch's initial weights.

    ``scale`` multiplies the weights of the last layer: the embedding then starts small, while
    the layers below still pass a gradient on.
    """
    torch = torch_or_error()
    torch.manual_seed(seed)
    sizes = [channels, width, 2 * width, 4 * width]
    layers: list[Any] = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Conv2d(before, after, 3, stride=2, padding=1), torch.nn.ReLU()]
    net = torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.LazyLinear(outputs)
    )
    net(torch.zeros(1, channels, 16, 16))
    with torch.no_grad():
        for parameter in net[-1].parameters():
            parameter *= scale
    return net


def barlow_twins(z: Any, partners: Any) -> Any:
    """‖C - I‖² with C = (1/2n) Σ (z z'ᵀ + z' zᵀ): all entries alike and no batch normalisation,
    as in Simon et al.; the loss of Zbontar et al. (ICML 2021) with λ = 1."""
    torch = torch_or_error()
    cross = _cross(torch.cat([z, partners]))
    return (cross - torch.eye(cross.shape[0], dtype=z.dtype)).square().sum()


def vicreg(z: Any, partners: Any) -> Any:
    """25 · invariance + 25 · variance + 1 · covariance (Bardes, Ponce & LeCun, ICLR 2022)."""
    torch = torch_or_error()
    total = 25 * (z - partners).square().mean()
    for side in (z, partners):
        side = side - side.mean(0)
        spread = (side.square().sum(0) / (len(side) - 1) + 1e-4).sqrt()
        cross = side.T @ side / (len(side) - 1)
        off = cross - torch.diag(torch.diagonal(cross))
        total = total + 12.5 * torch.relu(1 - spread).mean() + off.square().sum() / side.shape[1]
    return total


def simclr(z: Any, partners: Any, temperature: float = 0.5) -> Any:
    """NT-Xent (Chen et al., ICML 2020): each view finds its sibling among all others."""
    torch = torch_or_error()
    both = torch.nn.functional.normalize(torch.cat([z, partners]), dim=1)
    near = both @ both.T / temperature
    near.fill_diagonal_(-torch.inf)
    n = len(z)
    sibling = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return torch.nn.functional.cross_entropy(near, sibling)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "barlow_twins": barlow_twins,
    "vicreg": vicreg,
    "simclr": simclr,
}


@dataclass(frozen=True)
class Training:
    """How a convnet is trained.

    Attributes
    ----------
    objective : str
        One of :data:`LOSSES`.
    steps : int
    rate : float
        Learning rate of SGD with ``momentum``.
    """

    objective: str
    steps: int
    rate: float
    momentum: float = 0.0


def train(
    net: Any,
    pairs: PairsOf,
    probe: tuple[NDArray, NDArray],
    how: Training,
    observe: Observer = ignore,
    stop: Callable[[F64, F64], bool] | None = None,
) -> int:
    """Train, and tell the spectrum of a fixed probe set of views along the way.

    Parameters
    ----------
    pairs : callable
        Two views of a new batch, by step.
    probe : two (n, h, w, c) arrays
    observe : callable
        Told ``("spectrum", facts)`` at the steps of
        :func:`~stepwell.staircase.records.schedule`; the clock counts samples.
    stop : callable
        Asked after each record, with the times and eigenvalues so far, whether to stop there:
        :func:`stepwell.staircase.forecast.until`.

    Returns
    -------
    int
        Steps done.

    Raises
    ------
    StepwellError
        If the loss is no longer finite.
    """
    torch = torch_or_error()
    descent = torch.optim.SGD(net.parameters(), lr=how.rate, momentum=how.momentum)
    loss_of, seen, samples = LOSSES[how.objective], schedule(how.steps), 0
    both, kept = np.concatenate(probe), list[dict[str, Any]]()
    for step in range(how.steps + 1):
        if step in seen:
            z = _compared(how.objective, embed(net, both))
            if not np.isfinite(z).all():
                raise StepwellError(
                    f"Expected training that settles, found it diverging after {step} steps: "
                    f"lower the rate ({how.rate:g})."
                )
            facts = record_of(SAMPLES, samples, *np.split(z, 2))
            facts["centred"] = how.objective != "barlow_twins"
            observe(EVENT, facts)
            kept.append({"event": EVENT, **facts})
            if step == how.steps or (stop and stop(*_so_far(kept))):
                return step
        x, partners = (_tensor(side) for side in pairs(step))
        loss = loss_of(net(x), net(partners))
        descent.zero_grad()
        loss.backward()
        descent.step()
        samples += len(x)
    return how.steps


def _so_far(kept: list[dict[str, Any]]) -> tuple[F64, F64]:
    spectra = group(kept)[SAMPLES]
    return spectra.times, spectra.shown


def _compared(objective: str, z: F64) -> F64:
    """The embedding as the loss sees it: SimCLR looks at directions only."""
    return z / (np.linalg.norm(z, axis=1, keepdims=True) + 1e-12) if objective == "simclr" else z


def embed(net: Any, images: NDArray) -> F64:
    """(n, d) outputs of the net for (n, h, w, c) images."""
    with torch_or_error().no_grad():
        return np.asarray(net(_tensor(images)).double().numpy())


def _tensor(images: NDArray) -> Any:
    array = np.ascontiguousarray(np.moveaxis(np.asarray(images, np.float32), -1, 1))
    return torch_or_error().from_numpy(array)
