"""What VICReg and Barlow Twins keep at their weights: linear maps, exactly, on real pairs.

    python benchmarks/weights.py > benchmarks/results/weights.md

Pairs of 5,000 CIFAR-10 images and zoomed views of them, in 24 principal components of their
pixels. Losses are computed from the moments of the pairs, so that nothing is sampled, and minimised
by L-BFGS in float64. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import torch
from images import DATA
from scipy.linalg import subspace_angles
from tables import table

from stepwell.interfaces import concatenate
from stepwell.kit.hashing import drawn
from stepwell.sources import open_source
from stepwell.views import parse, render

WIDE, COUNT, STARTS = 24, 5000, 4
KEPT = 0.05
"""Share of the largest variance above which a direction of the projections counts as kept."""
VICREG = ((25.0, 25.0, 1.0), (25.0, 25.0, 5.0), (25.0, 25.0, 25.0), (25.0, 100.0, 100.0))
BARLOW = (0.0005, 0.005, 0.05, 0.5, 1.0)
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def law() -> np.ndarray:
    """(WIDE,) eigenvalues of Γ̃: what each mode of the pairs shares."""
    source = open_source(DATA / "cifar10-train.zip")
    ids = [name for name, _ in source.entries()]
    chosen = {ids[i] for i in drawn(0, ids, COUNT)}
    batch = concatenate(source.batches(512, ids=chosen))
    views = render(batch, parse("flip zoom-strong"), 0).data["image"]
    sides = [np.asarray(side, np.float64).reshape(COUNT, -1) / 255
             for side in (batch.data["image"], views)]  # fmt: skip
    mean = np.concatenate(sides).mean(0)
    _, _, axes = np.linalg.svd(sides[0] - mean, full_matrices=False)
    x, y = ((side - mean) @ axes[:WIDE].T for side in sides)
    gamma = (x.T @ y + y.T @ x) / (2 * COUNT)
    values, vectors = np.linalg.eigh((x.T @ x + y.T @ y) / (2 * COUNT))
    root = vectors / np.sqrt(values) @ vectors.T
    return np.linalg.eigvalsh(root @ gamma @ root)[::-1].copy()


def vicreg(invariance: float, variance: float, covariance: float) -> Loss:
    """From Σ and Γ of projections, as objectives/vicreg.py has it of samples."""

    def loss(sigma: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        d = len(sigma)
        off = sigma - torch.diag(sigma.diagonal())
        hinge = torch.relu(1 - (sigma.diagonal() + 1e-4).sqrt()).mean()
        apart = 2 * (sigma - gamma).trace() / d
        return invariance * apart + variance * hinge + 2 * covariance * off.square().sum() / d

    return loss


def barlow_twins(weight: float) -> Loss:
    """From Σ and Γ of projections."""

    def loss(sigma: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        spread = (sigma.diagonal() + 1e-5).sqrt()
        cross = gamma / spread[:, None] / spread
        off = cross - torch.diag(cross.diagonal())
        return (1 - cross.diagonal()).square().sum() + weight * off.square().sum()

    return loss


def trained(loss: Loss, shared: np.ndarray) -> np.ndarray:
    """(WIDE, WIDE) the best of a few linear maps on whitened modes."""
    best, found = np.inf, np.zeros((WIDE, WIDE))
    gamma = torch.diag(torch.tensor(shared))
    for start in range(STARTS):
        torch.manual_seed(start)
        w = (0.2 * torch.randn(WIDE, WIDE, dtype=torch.float64)).requires_grad_(True)
        descent = torch.optim.LBFGS([w], max_iter=2000, line_search_fn="strong_wolfe")

        def step(w: torch.Tensor = w, descent: torch.optim.LBFGS = descent) -> torch.Tensor:
            descent.zero_grad()
            value = loss(w @ w.T, w @ gamma @ w.T)
            value.backward()
            return value

        descent.step(step)
        value = float(step().detach())
        if value < best:
            best, found = value, w.detach().numpy().copy()
    return found


def _row(name: str, weights: str, w: np.ndarray) -> list[str]:
    """How many directions are kept, and whether they are the first modes."""
    spread = np.linalg.svd(w, compute_uv=False) ** 2
    kept = int((spread > KEPT * spread[0]).sum())
    share = spread / spread.sum()
    rank = float(np.exp(-(share[share > 0] * np.log(share[share > 0])).sum()))
    _, _, axes = np.linalg.svd(w)
    first = np.eye(WIDE)[:, :kept]
    angle = np.rad2deg(subspace_angles(axes[:kept].T, first).max()) if kept < WIDE else 0.0
    return [name, weights, str(kept), f"{rank:.1f}", f"{angle:.1f}"]


def main() -> None:
    """The page."""
    shared = law()
    rows = [
        _row("VICReg", f"λ = {a:g}, μ = {b:g}, ν = {c:g}", trained(vicreg(a, b, c), shared))
        for a, b, c in VICREG
    ]
    rows += [_row("Barlow Twins", f"λ = {a:g}", trained(barlow_twins(a), shared)) for a in BARLOW]
    text = " ".join((__doc__ or "").split("\n\n")[-1].split())
    print(f"# What VICReg and Barlow Twins keep of {WIDE} modes\n")
    print(f"`python benchmarks/weights.py`, {date.today()}, torch {torch.__version__}. {text}\n")
    print(f"Eigenvalues of the pairs: {', '.join(f'{v:.2f}' for v in shared)}.\n")
    head = ["objective", "weights", "kept", "effective rank", "degrees from the first modes"]
    print(table(head, rows))
    print(
        f"Kept: variance above {KEPT:.0%} of the largest. The papers' weights are VICReg's 25, 25,"
    )
    print("1 and Barlow Twins' .005.")


if __name__ == "__main__":
    main()
