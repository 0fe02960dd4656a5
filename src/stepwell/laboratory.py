"""Theory beside measurement, on a user's own images: what experiments are made of.

A :class:`Pool` of views, a trained model beside what theory says of it, and how far apart
the two are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, StepwellError, UsageError, concatenate
from stepwell.kit.hashing import drawn
from stepwell.sources import open_source
from stepwell.sources.canvas import fit
from stepwell.staircase import simulate, theory
from stepwell.staircase.theory import Modes
from stepwell.views import parse, render

F64 = NDArray[np.float64]
Figure = dict[str, Any]
RECIPE = "crop:0.3 flip"
IMAGES, SIDE, DIMENSIONS, SCALE = 500, 16, 10, 1e-4
LONGEST = 3_000_000
"""Steps of gradient descent that are waited for at most: minutes."""
GENTLE = 0.01
"""Learning rate of gradient descent, in units of one over the largest eigenvalue of Γ."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Views of a few images, rendered once: standardised pixels.

    Attributes
    ----------
    batch : Batch
        ``image`` (n, h, w, c) uint8, small.
    seed : int
    count : int
        Views of each.
    """

    batch: Batch
    seed: int = 0
    count: int = 2
    recipe: str = RECIPE

    @classmethod
    def of(
        cls, src: Any, images: int = IMAGES, seed: int = 0, count: int = 2, side: int = SIDE
    ) -> Pool:
        """About so many images of a source, drawn by hash, made smaller where above ``side``.

        Raises
        ------
        UsageError
            For other data than images, or too few of them.
        """
        source = open_source(src)
        ids = [name for name, _ in source.entries()]
        parts = list(source.batches(256, ids={ids[i] for i in drawn(seed, ids, images)}))
        if not parts or "image" not in parts[0].data:
            raise UsageError(f"Expected images to compare theory with, found none in {src}.")
        batch = concatenate([_small(part, side) for part in parts])
        if len(batch) < 4 * DIMENSIONS:
            raise UsageError(
                f"Expected at least {4 * DIMENSIONS} images for {DIMENSIONS} dimensions, found "
                f"{len(batch)}: give more, or leave the source out to use the demo's."
            )
        return cls(batch, seed, count)

    @cached_property
    def views(self) -> NDArray[np.float32]:
        """(v, n, h, w, c), zero mean and unit variance over all pixels."""
        views = parse(self.recipe)
        seen = [render(self.batch, views, self.seed, epoch) for epoch in range(self.count)]
        pixels = np.stack([view.data["image"] for view in seen]).astype(np.float32)
        spread = float(pixels.std())
        if spread < 1e-3:
            raise UsageError("Expected images that differ, found all alike: nothing to learn.")
        return (pixels - pixels.mean()) / spread

    def pair(self, images: int | None = None) -> tuple[F64, F64]:
        """Two views of each, or of the first few, as rows (n, D)."""
        first, second = self.views[:2, :images].astype(np.float64)
        return first.reshape(len(first), -1), second.reshape(len(second), -1)

    @cached_property
    def centred(self) -> NDArray[np.float32]:
        """The views without the mean of each pixel: for networks, whose first step it would be."""
        centred = self.views - self.views.mean((0, 1))
        return centred / centred.std()

    def probe(self, images: int) -> tuple[NDArray, NDArray]:
        """Two fixed views of the first few images."""
        return self.centred[0, :images], self.centred[1, :images]

    def sample(self, step: int, size: int) -> tuple[NDArray, NDArray]:
        """Two views of ``size`` random images; the same for the same step."""
        rng = np.random.default_rng((self.seed, step))
        rows = rng.choice(len(self.batch), min(size, len(self.batch)), replace=False)
        first, second = rng.choice(self.count, 2, replace=False)
        return self.centred[first, rows], self.centred[second, rows]


def _small(batch: Batch, side: int) -> Batch:
    """The same images, no larger than ``side``."""
    images = np.asarray(batch.data["image"])
    return batch if images.shape[1] <= side else batch.with_data(image=fit(images, side))


def compare(
    gamma: F64, weights: F64, *, gentle: float = GENTLE, count: int = 600
) -> tuple[Modes, simulate.Trace]:
    """Gradient descent from ``weights``, and what theory says of it in the same steps."""
    rate = gentle / float(theory.positive_modes(gamma, 1)[0][0])
    modes = theory.predict(gamma, weights, rate=rate)
    last = 2.0 * float(modes.times.max())
    if last > LONGEST:
        raise StepwellError(
            f"Expected dimensions that come within {LONGEST:,} steps, found that the last of "
            f"{len(weights)} would take {last:.1g}: images this small or this much alike do not "
            f"have as many. Give larger or more varied ones."
        )
    return modes, simulate.descend(gamma, weights, rate, simulate.records(last, count))


def numbers_of(modes: Modes, trace: simulate.Trace) -> dict[str, Any]:
    """How near theory is: errors of the critical times, of the loss, alignment."""
    seen = simulate.crossings(trace.times, trace.eigenvalues)[: len(modes.times)]
    error = seen / modes.times - 1
    # What never came is off by more than any number.
    clear = np.nan_to_num(np.abs(error[~modes.tied]), nan=np.inf)
    found = {
        "critical_times_predicted": modes.times.tolist(),
        "critical_times_measured": seen.tolist(),
        "relative_error": error.tolist(),
        "near_ties": np.flatnonzero(modes.tied).tolist(),
        "median_error": float(np.median(clear)) if len(clear) else None,
        "worst_error": float(np.max(clear)) if len(clear) else None,
        "final_loss": float(trace.loss[-1]),
        "final_loss_predicted": modes.final_loss,
    }
    if trace.weights.size:
        sizes = np.linalg.svd(trace.weights, compute_uv=False)[: len(modes.gamma)]
        caught = theory.caught(trace.weights, modes.vectors)
        found |= {
            "singular_values": sizes.tolist(),
            "singular_values_predicted": sorted((modes.gamma**-0.5).tolist(), reverse=True),
            "alignment": theory.alignment(trace.weights, modes.vectors),
            "alignment_predicted": modes.alignment,
            "least_caught_of_whole_modes": float(caught[modes.whole].min(initial=1)),
        }
    return found
