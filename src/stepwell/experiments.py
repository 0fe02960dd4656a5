"""The figures of ``stepwell theory``: each an experiment with theory drawn over it.

(a) to (f) follow Simon et al., ICML 2023 (arXiv 2303.15438), on the user's own images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from stepwell.interfaces import Observer, StepwellError
from stepwell.kit.torch import torch_or_error
from stepwell.laboratory import DIMENSIONS, SCALE, Figure, Pool, compare, numbers_of
from stepwell.staircase import kernels, networks, simulate, theory
from stepwell.staircase.detect import FEWEST
from stepwell.staircase.forecast import next_step, words
from stepwell.staircase.records import SAMPLES, Spectra, group
from stepwell.stepping import steps_of
from stepwell.timeline import chart_of

KERNEL_IMAGES, NARROW = 150, 3
WIDTHS = (64, 256, 1024, 4096)
SEEDS = 3
STEPS, BATCH, PROBE = 4000, 128, 64
Line = dict[str, Any]
ASKED = 10
"""A forecast is made at every so many records."""
NETS = (("barlow_twins", 0.0008), ("vicreg", 0.001), ("simclr", 0.05))
"""Objective and learning rate: of a few tried, one at which eigenvalues rise without falling back.
No label had a part in that."""


def linear(pool: Pool) -> Figure:
    """(a) Linear Barlow Twins: loss and eigenvalues."""
    modes, trace = _trained(pool, SCALE)
    return {
        "id": "a",
        "title": "A linear model learns one dimension at a time",
        "text": f"Barlow Twins on {len(pool.batch)} images, one pair of views each, from weights "
        f"of {SCALE:g}, by gradient descent. Every step of the loss is one eigenvalue of the "
        f"embedding that goes from 0 to 1. Theory knows only Γ and the first weights.",
        "charts": [
            _chart("The embedding", "eigenvalue", _curves(modes, trace)),
            _chart("Loss", "‖WΓWᵀ − I‖²", _losses(modes, trace)),
        ],
        "numbers": numbers_of(modes, trace),
    }


def scales(pool: Pool) -> Figure:
    """(b) Larger and smaller first weights."""
    charts, numbers = [], {}
    for scale in (1e-2, 1e-3, 1e-6):
        modes, trace = _trained(pool, scale)
        charts.append(_chart(f"First weights {scale:g}", "loss", _losses(modes, trace)))
        numbers[f"{scale:g}"] = numbers_of(modes, trace)
    return {
        "id": "b",
        "title": "The smaller the first weights, the sharper the steps",
        "text": "The same from larger and smaller weights. From large ones, dimensions grow side "
        "by side: steps blur, and theory, which holds for small weights, is off. Smaller ones "
        "set them apart.",
        "charts": charts,
        "numbers": numbers,
    }


def fixed_kernels(pool: Pool) -> Figure:
    """(c) The same for kernel models: RBF, and the tangent kernel of a network."""
    x, partners = pool.pair(KERNEL_IMAGES)
    rows = np.vstack([x, partners])
    known = {"RBF kernel": kernels.rbf(rows, rows)}
    left_out = []
    try:
        net = networks.wide(rows.shape[1], 256, 2, pool.seed)
        tensor = torch_or_error().from_numpy(rows)
        known["tangent kernel of a network, 256 wide"] = kernels.tangent_kernel(net, tensor)
    except StepwellError as missing:
        left_out = [f"The tangent kernel of figure (c) was left out. {missing}"]
    charts, numbers = [], {}
    for name, kernel in known.items():
        gamma = kernels.pair_matrix_of(kernel)
        weights = simulate.small_weights(DIMENSIONS, len(gamma), SCALE, pool.seed)
        modes, trace = compare(gamma, weights)
        charts.append(_chart(name, "eigenvalue", _curves(modes, trace)))
        numbers[name] = numbers_of(modes, trace)
    return {
        "id": "c",
        "title": "Kernel models climb the same staircase",
        "text": f"A kernel model is a linear one in other features: Γ becomes "
        f"K̃^½ (1/2n) [[0, I], [I, 0]] K̃^½. On {len(x)} pairs of views.",
        "left_out": left_out,
        "charts": charts,
        "numbers": numbers,
    }


def wide_networks(pool: Pool, widths: Sequence[int] = WIDTHS, seeds: int = SEEDS) -> Figure:
    """(d) A real wide network against its tangent kernel at the start."""
    x, partners = pool.pair(KERNEL_IMAGES // 3)
    errors: dict[int, list[float]] = {}
    chart = None
    for width in widths:
        for seed in range(seeds):
            modes, trace = networks.wide_run(x, partners, width, NARROW, seed)
            error = numbers_of(modes, trace)["median_error"]  # None: all modes tie
            errors.setdefault(width, []).append(np.nan if error is None else error)
        chart = _chart(f"A network {width} wide", "eigenvalue", _curves(modes, trace))
    medians = [float(np.nanmedian(errors[width])) for width in widths]
    dots = [
        {"name": f"{w} wide", "x": [w] * len(e), "y": e, "kind": "dots", "colour": 1}
        for w, e in errors.items()
    ]
    line = {"name": "median", "x": list(widths), "y": medians, "colour": 1}
    falls = {
        "title": "Median error of the critical times",
        "x_label": "width (log)",
        "y_label": "error",
        "log_x": True,
        "log_y": True,
        "lines": [line, *dots],
    }
    return {
        "id": "d",
        "title": "A wide network follows its tangent kernel, the closer the wider it is",
        "text": f"One hidden layer of ReLU, trained in earnest on {len(x)} pairs by gradient "
        f"descent; theory knows only its tangent kernel at the first weights. {seeds} seeds.",
        "charts": [falls, *([chart] if chart else [])],
        "numbers": {"widths": list(widths), "median_errors": medians, "errors": errors},
    }


def alignment(pool: Pool) -> Figure:
    """(e) What is learned lies where theory says."""
    modes, trace = _trained(pool, SCALE)
    numbers = {k: v for k, v in numbers_of(modes, trace).items() if k.startswith("alignment")}
    caught = theory.caught(trace.weights, modes.vectors)
    ranks = np.arange(1, len(caught) + 1)
    chart = {
        "title": "Predicted eigenvectors within the learned subspace",
        "x_label": "dimension",
        "y_label": "share of the eigenvector",
        "lines": [
            {
                "name": "share",
                "x": ranks.tolist(),
                "y": caught.tolist(),
                "kind": "dots",
                "colour": 1,
            },
            {
                "name": "predicted",
                "x": ranks.tolist(),
                "y": np.where(modes.whole, 1.0, 1 - modes.shared).tolist(),
                "kind": "theory",
                "colour": 1,
            },
        ],
    }
    return {
        "id": "e",
        "title": "What is learned lies where theory says",
        "text": "How much of each predicted eigenvector of Γ lies in the rows of the trained W. "
        "The last dimension is shared with the directions after it, which nothing keeps out; "
        f"theory gives that share too: alignment {numbers['alignment_predicted']:.4f} predicted, "
        f"{numbers['alignment']:.4f} measured.",
        "charts": [chart],
        "numbers": numbers | {"caught": caught.tolist()},
    }


class Watched:
    """Keeps the records of a training run and tells when its next step is expected."""

    def __init__(self, observe: Observer, told: Observer, before: int, samples: int) -> None:
        self.records: list[dict[str, Any]] = []
        self._observe, self._told = observe, told
        self._before, self._samples = before, samples  # of earlier runs, and of all
        self._begin = time.perf_counter()

    @property
    def spectra(self) -> Spectra:
        """What was seen so far."""
        return group(self.records)[SAMPLES]

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        self.records.append({"event": event, **facts})
        self._told(event, facts)
        if len(self.records) < FEWEST or len(self.records) % ASKED:
            return
        known, now = self.spectra, float(facts["time"])
        speed = now / (time.perf_counter() - self._begin)
        ahead = words(next_step(known.times, known.shown), now, speed)
        done = self._before + int(now)
        self._observe("train", {"done": done, "of": self._samples, "next": ahead})


def convnets(
    pool: Pool, observe: Observer, watch: Callable[[str], Observer], *, steps: int = STEPS
) -> Figure:
    """(f) A small convnet with three objectives, from small and from ordinary weights.

    ``watch`` gives an observer for each run by its name, to write its records down.
    """
    charts: list[dict[str, Any]] = []
    numbers: dict[str, dict[str, Any]] = {}
    for objective, rate in NETS:
        for start, scale in (("small", 0.1), ("ordinary", 1.0)):
            name = f"{objective}, {start} first weights"
            each = steps * BATCH
            told, before = watch(f"{objective}-{start}"), len(numbers) * each
            seen = Watched(observe, told, before, 2 * len(NETS) * each)
            net = networks.convnet(pool.views.shape[-1], DIMENSIONS, pool.seed, scale=scale)
            how, numbers[name] = networks.Training(objective, steps, rate), {}
            try:
                networks.train(net, partial(_batch, pool), pool.probe(PROBE), how, seen)
            except StepwellError as stopped:
                numbers[name]["stopped"] = str(stopped)
            steps_found = steps_of(seen.spectra) if len(seen.records) >= FEWEST else []
            if seen.records:
                charts.append(chart_of(seen.spectra, steps_found) | {"title": name})
            numbers[name]["steps"] = [
                {"dimension": step.index + 1, "samples": step.time, "size": step.size}
                for step in steps_found
            ]
    return {
        "id": "f",
        "title": "Convnets climb stairs too",
        "text": "Three convolutions and a linear layer, trained by SGD on fresh pairs; "
        "eigenvalues of the embedding's cross-correlation (Barlow Twins) or covariance on a "
        "fixed set of views, with the steps that were found in them. There is no closed form "
        "here: nothing is predicted. " + " ".join(_stopped(numbers)),
        "charts": charts,
        "numbers": numbers,
    }


def _stopped(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{name}: {some['stopped']}" for name, some in numbers.items() if "stopped" in some]


def _batch(pool: Pool, step: int) -> tuple[Any, Any]:
    return pool.sample(step, BATCH)


@lru_cache(maxsize=4)  # (a) and (e) look at one training
def _trained(pool: Pool, scale: float) -> tuple[theory.Modes, simulate.Trace]:
    """The linear model on a pool, from weights of this scale, and what theory says of it."""
    gamma = theory.pair_matrix(*pool.pair())
    return compare(gamma, simulate.small_weights(DIMENSIONS, len(gamma), scale, pool.seed))


def _chart(title: str, what: str, lines: list[Line]) -> dict[str, Any]:
    return {"title": title, "x_label": "step (log)", "y_label": what, "log_x": True, "lines": lines}


def _curves(modes: theory.Modes, trace: simulate.Trace) -> list[Line]:
    """Measured eigenvalues, and the predicted ones in the same steps."""
    seen = trace.times > 0
    steps = trace.times[seen]
    measured = [_line(j, "measured", steps, row[seen]) for j, row in enumerate(trace.eigenvalues.T)]
    predicted = _in_steps(modes, steps).T
    return measured + [_line(j, "theory", steps, row) for j, row in enumerate(predicted)]


def _losses(modes: theory.Modes, trace: simulate.Trace) -> list[Line]:
    seen = trace.times > 0
    steps = trace.times[seen]
    predicted = np.square(1 - _in_steps(modes, steps)).sum(1) + modes.lost
    return [_line(1, "measured", steps, trace.loss[seen]), _line(1, "theory", steps, predicted)]


def _line(colour: int, kind: str, x: Any, y: Any) -> Line:
    xs, ys = np.asarray(x).tolist(), np.asarray(y).tolist()
    return {"name": f"{kind} {colour + 1}", "x": xs, "y": ys, "colour": colour, "kind": kind}


def _in_steps(modes: theory.Modes, steps: Any) -> Any:
    """Predicted eigenvalues at steps: the flow's curve of each mode, on its own clock."""
    flow = theory.critical_times(modes.gamma, modes.start)
    columns = []
    for gamma, start, pace in zip(modes.gamma, modes.start, flow / modes.times, strict=True):
        size = theory.singular_values(np.array([gamma]), np.array([start]), pace * steps)
        columns.append(gamma * size[:, 0] ** 2)
    return np.stack(columns, axis=1)
