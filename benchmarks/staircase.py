"""The staircase: theory, detection, forecasts, stop rule and explanations, as measured.

    python benchmarks/staircase.py linear kernels wide nets explain cost > build/staircase.jsonl
    python benchmarks/staircase.py --table build/staircase.jsonl > benchmarks/results/staircase.md

`wide`, `nets` and a part of `kernels` need torch. Images: CIFAR-10, TrashNet, PneumoniaMNIST and
Fashion-MNIST, drawn by hash. Labels are read for the kNN scores of the stop rule only; nothing
is tuned on them. One JSON line each.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from images import DATA, FASHION
from staircase_tables import HEAD
from staircase_tables import PARTS as TABLES
from tables import emit, run_parts

from stepwell import experiments, learn, stepping
from stepwell.engines import engine
from stepwell.evaluate.probe import knn
from stepwell.interfaces import concatenate
from stepwell.kit.torch import torch_or_error
from stepwell.laboratory import DIMENSIONS, SCALE, Pool, compare, numbers_of
from stepwell.sources import open_source
from stepwell.staircase import kernels, networks, simulate, theory
from stepwell.staircase.detect import find_steps
from stepwell.staircase.explain import correlations
from stepwell.staircase.forecast import forecast, levels_of, lies_beyond, next_step
from stepwell.staircase.records import group
from stepwell.stepping import Sight

SOURCES = {
    "cifar10": DATA / "cifar10-train.zip",
    "fashion": FASHION,
    "trashnet": DATA / "trashnet.zip",
    "pneumonia": DATA / "pneumoniamnist-trainval.npz",
}
SHARES = (0.01, 0.1)
LEAST = 2.5
"""Steps that are forecast rise by this much in the logarithm: less has no 1 % of its size."""


# theory against training


def linear() -> None:
    """Gradient descent on 500 images at two sizes, three seeds a data set."""
    for name, path in SOURCES.items():
        for side in (16, 28) if name == "fashion" else (16,):
            for seed in range(3):
                pool = Pool.of(path, 500, seed, side=side)
                gamma = theory.pair_matrix(*pool.pair())
                weights = simulate.small_weights(DIMENSIONS, len(gamma), SCALE, seed)
                modes, trace = compare(gamma, weights)
                emit(part="linear", data=name, side=side, seed=seed, **slim(modes, trace))
                forecasts("linear", f"{name} {side} {seed}", trace.times, trace.eigenvalues, 1.0)


def slim(modes: theory.Modes, trace: simulate.Trace) -> dict[str, Any]:
    """The figures of the table."""
    found = numbers_of(modes, trace)
    sizes, said = (np.array(found[k]) for k in ("singular_values", "singular_values_predicted"))
    return {
        "median": found["median_error"],
        "worst": found["worst_error"],
        "ties": len(found["near_ties"]),
        "loss": found["final_loss"],
        "alignment": found["alignment"],
        "alignment_said": found["alignment_predicted"],
        "caught": found["least_caught_of_whole_modes"],
        "size_error": float(np.median(np.abs(sizes / said - 1))),
        "size_worst": float(np.max(np.abs(sizes / said - 1))),
    }


def kernel_models() -> None:
    """RBF and tangent kernels, 150 pairs, three seeds."""
    for name, path in SOURCES.items():
        for seed in range(3):
            pool = Pool.of(path, experiments.KERNEL_IMAGES, seed)
            rows = np.vstack(pool.pair())
            known = {"RBF": kernels.rbf(rows, rows)}
            net = networks.wide(rows.shape[1], 256, 2, seed)
            known["NTK"] = kernels.tangent_kernel(net, torch_or_error().from_numpy(rows))
            for kernel, values in known.items():
                gamma = kernels.pair_matrix_of(values)
                weights = simulate.small_weights(DIMENSIONS, len(gamma), SCALE, seed)
                found = slim(*compare(gamma, weights))
                emit(part="kernels", data=name, kernel=kernel, seed=seed, **found)


def wide() -> None:
    """Error of the tangent kernel at the start, over the width."""
    for name in ("fashion", "cifar10"):
        figure = experiments.wide_networks(Pool.of(SOURCES[name], 500))
        for width, errors in figure["numbers"]["errors"].items():
            emit(part="wide", data=name, width=int(width), errors=errors)


# trained networks


class Watched:
    """A convnet's records, scores of its embedding, and what looking at them cost."""

    def __init__(self, net: Any, pool: Pool, labels: Any) -> None:
        self._net, self._pool, self._labels = net, pool, labels
        self.records: list[dict[str, Any]] = []
        self.scores: list[tuple[float, float]] = []
        self.spent = {"knn": 0.0, "forecast": 0.0}

    def __call__(self, event: str, facts: Any) -> None:
        self.records.append({"event": event, **facts})
        count, begin = len(self.records), time.perf_counter()
        if count > 30 and count % 2 == 0:  # as a progress line would ask
            known = group(self.records)["samples"]
            next_step(known.times, known.shown)
            self.spent["forecast"] += time.perf_counter() - begin
        begin = time.perf_counter()
        if count % 8 == 0:
            self.scores.append((facts["time"], knn_of(self._net, self._pool, self._labels)))
            self.spent["knn"] += time.perf_counter() - begin


def nets() -> None:
    """Twenty convnets: forecasts, stop rule, cost."""
    plan = [("barlow_twins", name, seed) for seed in (0, 1, 2) for name in SOURCES]
    plan += [(objective, name, 3) for objective in ("vicreg", "simclr") for name in SOURCES]
    for number, (objective, name, seed) in enumerate(plan):
        pool = Pool.of(SOURCES[name], 1500, seed, 16)
        labels = np.unique([label_of(name, i) for i in pool.batch.ids], return_inverse=True)[1]
        net = networks.convnet(pool.centred.shape[-1], DIMENSIONS, seed)
        rate = dict(experiments.NETS)[objective]
        how = networks.Training(objective, experiments.STEPS, rate)
        watched, probe = Watched(net, pool, labels), pool.probe(experiments.PROBE)

        def pairs(step: int, pool: Pool = pool) -> Any:
            return pool.sample(step, experiments.BATCH)

        begin = time.perf_counter()
        networks.train(net, pairs, probe, how, watched)
        seconds = time.perf_counter() - begin - sum(watched.spent.values())
        spectra, run = group(watched.records)["samples"], f"{objective} {name} {seed}"
        forecasts(objective, run, spectra.times, spectra.shown, None)
        stop_rule(run, number, spectra, watched.scores)
        count = len(watched.records)
        spent = {
            "logging": logging_seconds(net, pool, count),
            "forecasting": watched.spent["forecast"],
        }
        emit(part="cost", run=run, seconds=seconds, records=count, **spent)


_LABELS: dict[str, dict[str, str]] = {}


def label_of(name: str, example: Any) -> str:
    if name not in _LABELS:
        _LABELS[name] = open_source(SOURCES[name]).labels()
    return _LABELS[name][str(example)]


def knn_of(net: Any, pool: Pool, labels: Any) -> float:
    """kNN accuracy of one half of the images by the other."""
    z = networks.embed(net, pool.centred[0])
    z = (z / (np.linalg.norm(z, axis=1, keepdims=True) + 1e-12)).astype(np.float32)
    half = len(z) // 2
    return float((knn(z[:half], labels[:half], z[half:]) == labels[half:]).mean() * 100)


def logging_seconds(net: Any, pool: Pool, records: int) -> float:
    """What so many records cost."""
    both = np.concatenate(pool.probe(experiments.PROBE))
    begin = time.perf_counter()
    for _ in range(20):
        networks.record_of("samples", 0, *np.split(networks.embed(net, both), 2))
    return (time.perf_counter() - begin) / 20 * records


def forecasts(kind: str, run: str, times: Any, values: Any, plateau: float | None) -> None:
    """Each step forecast when it is at 1 % and at 10 % of its size, beside two controls."""
    for step in find_steps(times, values):
        begin, end = (int(np.searchsorted(times, t)) for t in (step.begin, step.end))
        column = values[:, step.index]
        final = float(np.median(column[end : end + 9]))
        if step.size < LEAST:
            continue
        came = float(simulate.crossings(times[begin:], column[begin:, None], final / 2)[0])
        for share in SHARES:
            after = np.flatnonzero((column >= share * final) & (np.arange(len(column)) >= begin))
            if not len(after) or after[0] < 12 or not times[after[0]] < came:
                continue
            now = int(after[0])
            said = forecast(times[: now + 1], values[: now + 1], step.index, plateau=plateau)
            last = slice(now - 5, now + 1)
            rate, start = np.polyfit(
                times[last] - times[now], np.log(np.maximum(column[last], 1e-300)), 1
            )
            # As the forecast has it: a control must not know more.
            level = float(levels_of(values[: now + 1], plateau)[step.index])
            ahead = came - times[now]
            simple = (np.log(level / 2) - start) / rate if rate > 0 else np.inf
            known = np.isfinite(said.time)
            emit(
                part="forecast",
                kind=kind,
                run=run,
                share=share,
                index=step.index,
                error=abs(said.time - came) / ahead if known else None,
                log_linear=min(abs(simple - ahead) / ahead, 1e3) if np.isfinite(level) else None,
                now=1.0,
                covered=bool(said.low <= came <= said.high) if known else None,
                width=(said.high - said.low) / ahead if known else None,
            )


def stop_rule(run: str, number: int, spectra: Any, scores: list[tuple[float, float]]) -> None:
    """With a budget somewhere within the run: what stopping early saved, and what it missed."""
    budget = float(np.random.default_rng(number).uniform(0.3, 1.0)) * spectra.times[-1]
    stopped = budget
    for i in range(30, len(spectra.times)):
        if spectra.times[i] > budget:
            break
        if lies_beyond(next_step(spectra.times[: i + 1], spectra.shown[: i + 1]), budget):
            stopped = float(spectra.times[i])
            break
    came = {s.index for s in find_steps(spectra.times, spectra.shown) if stopped < s.time <= budget}
    at = np.array(scores)
    before, after = (float(np.interp(t, at[:, 0], at[:, 1])) for t in (stopped, budget))
    emit(
        part="stop",
        run=run,
        budget=budget,
        stopped=stopped,
        saved=1 - stopped / budget,
        missed=len(came),
        knn_gain_missed=after - before,
    )


# explanations


def planted(what: str, seed: int, count: int = 400) -> tuple[Any, Any]:
    """CIFAR-10 images with something added: light or red by a random amount, or a mark."""
    source = open_source(SOURCES["cifar10"])
    ids = [name for name, _ in source.entries()]
    rng = np.random.default_rng(seed)
    chosen = {ids[i] for i in rng.permutation(len(ids))[:count]}
    images = concatenate(source.batches(256, ids=chosen)).data["image"].astype(float)
    amount = rng.uniform(0, 1, len(images))
    each = amount[:, None, None, None]
    if what == "brightness":
        images = images * 0.5 + 120 * each
    elif what == "light in the upper right corner":
        amount = (amount > 0.5).astype(float)  # a mark is there or not
        images[amount > 0, :8, -8:] = 255
    else:
        images = images * 0.6 + 50 + 100 * (each - 0.5) * np.array([1, -0.5, -0.5])
    return np.clip(images, 0, 255).astype(np.uint8), amount


def explanations(seeds: int = 10) -> None:
    """Whether the step that carries a planted structure names it."""
    for what in ("brightness", "light in the upper right corner", "hue: red rather than cyan"):
        for seed in range(seeds):
            images, amount = planted(what, seed)
            with tempfile.TemporaryDirectory() as folder:
                run = learn(
                    images,
                    Path(folder) / "run",
                    preset="fast",
                    views="shift noise",
                    seed=seed,
                    report=False,
                )
                sight = Sight(run, concatenate(run.own_source().batches(400)))
                for clock in ("gradient", "whitened"):
                    r = np.abs(correlations(amount[:, None], sight.values(clock)))[0]
                    carries = int(r.argmax())
                    said = sight.explained(clock)[carries]
                    emit(
                        part="explain",
                        planted=what,
                        seed=seed,
                        clock=clock,
                        step=carries + 1,
                        carried_r=float(r[carries]),
                        named=said.name == what,
                        words=said.words,
                    )


def cost() -> None:
    """What both orders cost a spectral run: the second eigenproblem, and the log."""
    for name in ("fashion", "cifar10"):
        spent = [timed(engine, "gradient_modes"), timed(stepping, "log_orders")]
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            learn(SOURCES[name], Path(folder) / "run", preset="fast", budget=60, report=False)
        seconds = time.perf_counter() - begin
        logging = sum(map(sum, spent))
        emit(
            part="cost",
            run=f"spectral {name}",
            seconds=seconds,
            logging=logging,
            forecasting=0.0,
            records=400,
        )


def timed(owner: Any, name: str) -> list[float]:
    """Seconds of every call of a function from now on."""
    call, seconds = getattr(owner, name), list[float]()

    def watched(*args: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return call(*args, **options)
        finally:
            seconds.append(time.perf_counter() - begin)

    setattr(owner, name, watched)
    return seconds


PARTS = {
    "linear": linear,
    "kernels": kernel_models,
    "wide": wide,
    "nets": nets,
    "explain": explanations,
    "cost": cost,
}


if __name__ == "__main__":
    run_parts(__doc__, PARTS, HEAD, TABLES)
