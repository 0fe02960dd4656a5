"""Networks where there is an accelerator: pretexts beside their controls, and long trainings.

    python benchmarks/accelerator.py speed curves pretexts > build/accelerator.jsonl
    python benchmarks/accelerator.py --table build/accelerator.jsonl > results/accelerator.md

Needs torch. On a machine without an accelerator the same runs, tiny, unless the environment says
otherwise (IMAGES, SAMPLES, SEEDS, BACKBONE=convnet:small …). CIFAR-10's training images, 10,000 of
which are drawn by hash to test on; labels are read for scores only.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerator_tables import HEAD
from accelerator_tables import PARTS as TABLES
from gradient import CIFAR, RECIPE, in_turns
from sklearn.decomposition import PCA
from tables import emit, run_parts

from stepwell.encoders import NetworkEncoder
from stepwell.encoders.network.encoder import default_device
from stepwell.engines.gradient.pixels import Decoded
from stepwell.evaluate.probe import linear_predict
from stepwell.interfaces import Batch, concatenate, ignore
from stepwell.kit.hashing import drawn
from stepwell.networks import train_encoder
from stepwell.objectives import OBJECTIVES as EVERY
from stepwell.pretexts import PRETEXTS, TwoViews
from stepwell.sources import open_source
from stepwell.wishing import Wish

DEVICE = default_device()
LARGE = DEVICE != "cpu"
NAME = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{os.cpu_count()} cores"
PLAN: dict[str, Any] = {"precision": "bf16-mixed"} if LARGE else {}
TRAIN, TEST = (40_000, 10_000) if LARGE else (600, 200)
SECONDS = float(os.environ.get("SECONDS_EACH", 120 if LARGE else 12))
"""Of training, a curve."""
FEWER = int(os.environ.get("IMAGES", 10_000 if LARGE else 400))
SAMPLES = int(os.environ.get("SAMPLES", 60_000 if LARGE else 800))
"""Images and samples that pretexts are compared with."""
BACKBONE = os.environ.get("BACKBONE", "resnet18")
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0 1 2" if LARGE else "0").split()]
ONLY = [task for task in os.environ.get("ONLY", "").split(";") if task]
OBJECTIVES = os.environ.get("OBJECTIVES", "barlow_twins simclr").split()
"""What of it is measured: parts can run side by side in processes of their own."""
TASKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "two views": ("two_views", {}, "simclr"),
    "multi-crop": ("multi_crop", {}, "simclr"),
    "neighbours: place": ("neighbours", {}, "cross_entropy"),
    "neighbours: pairs": ("neighbours", {}, "simclr"),
    "missing: pixels": ("missing", {}, "masked_autoencoding"),
    "missing: latent": ("missing", {}, "latent_prediction"),
    "missing: iBOT": ("missing", {}, "ibot"),
    "transform: rotation": ("transform", {}, "cross_entropy"),
    "transform: scale": ("transform", {"of": "scale"}, "cross_entropy"),
    "transform: translation": ("transform", {"of": "translation"}, "cross_entropy"),
    "transform: rotation, regression": ("transform", {}, "regression"),
    "order: permutation": ("order", {}, "cross_entropy"),
    "order: pairs": ("order", {"of": "pairs"}, "cross_entropy"),
    "clusters": ("clusters", {}, "cross_entropy"),
}
"""Pretext, its options, objective."""


@contextmanager
def images(train: int, test: int) -> Iterator[tuple[Batch, Batch]]:
    """Images to learn from, and others to test on."""
    source = open_source(CIFAR)
    ids = [name for name, _ in source.entries()]
    order = [ids[i] for i in drawn(0, ids, train + test)]
    whole = concatenate(source.batches(512, ids=set(order)))
    asked = np.isin(whole.ids, order[:test])
    yield whole.take(np.flatnonzero(~asked)), whole.take(np.flatnonzero(asked))


class Kept:
    """A training that nobody stops."""

    state = None

    def check(self, *_: Any) -> None:
        """Nothing to compare with."""

    def due(self) -> bool:
        """Never."""
        return False

    def save(self, state: Any) -> None:
        """Nothing is."""


def _encoder(train: Batch, seed: int) -> NetworkEncoder:
    return NetworkEncoder(BACKBONE, device=DEVICE).fit(train.take(slice(0, 512)), seed=seed)


def _trained(train: Batch, encoder: Any, pretext: Any, wish: Wish, seed: int, tell: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        batches = [train.take(slice(i, i + 4096)) for i in range(0, len(train), 4096)]
        parts = (Path(folder), Kept(), tell, encoder, pretext, TwoViews(RECIPE))
        return train_encoder(lambda: batches, wish, seed, *parts)


def features(encoder: Any, *sets: Batch) -> list[Any]:
    """(n, d) of each set, as the encoder is now."""
    return [encoder.embed(each) for each in sets]


def classes(*sets: Batch) -> list[Any]:
    """(n,) of each set: the folders of images."""
    names = sorted({name.split("/")[-2] for each in sets for name in each.ids})
    return [np.array([names.index(name.split("/")[-2]) for name in each.ids]) for each in sets]


def knn(encoder: Any, train: Batch, test: Batch) -> float:
    """kNN of features as they are now."""
    return knn_of(*features(encoder, train, test), *classes(train, test))


def knn_of(bank: Any, asked: Any, known: Any, truth: Any) -> float:
    """Per cent of test images whose class their neighbours tell: cosine, k = 20, T = 0.1."""
    bank, asked = (torch.as_tensor(each).float().to(DEVICE) for each in (bank, asked))
    mean = bank.mean(0)
    bank, asked = (torch.nn.functional.normalize(s - mean, dim=1) for s in (bank, asked))
    known, truth = (torch.as_tensor(each).to(DEVICE) for each in (known, truth))
    near, rows = (asked @ bank.T).topk(20)
    votes = torch.zeros(len(asked), int(known.max()) + 1, device=DEVICE)
    votes.scatter_add_(1, known[rows], (near / 0.1).exp())
    return float((votes.argmax(1) == truth).float().mean() * 100)


def speed(batch: int = 256) -> None:
    """Samples a second of our loop and of a bare one, in turns."""
    with images(4096 if LARGE else 256, 1) as (train, _), tempfile.TemporaryDirectory() as folder:
        data = Decoded(Path(folder), [train])
        size = batch if LARGE else 32
        precision, steps = PLAN.get("precision", "32-true"), 40 if LARGE else 10
        for row in in_turns(data, "resnet18", size, DEVICE, precision, steps):
            emit(part="speed", device=NAME, backbone="resnet18", batch=size, **row)


def curves() -> None:
    """kNN over samples and minutes of objectives, each for the same time."""
    with images(TRAIN, TEST) as (train, test):
        for objective in OBJECTIVES:
            encoder = _encoder(train, 0)
            row = {"part": "curves", "device": NAME, "objective": objective}
            emit(**row, samples=0, seconds=0.0, knn=knn(encoder, train, test))
            watch = _Curve(encoder, train, test, row)
            wish = Wish(objective, None, lambda: SECONDS, False, plan=PLAN)
            _trained(train, encoder, TwoViews(RECIPE), wish, 0, watch)
            watch.emit()


class _Curve:
    """Scores an encoder six times while it is trained; the clock stands meanwhile."""

    def __init__(self, encoder: Any, train: Batch, test: Batch, row: dict[str, Any]) -> None:
        self._of, self._row = (encoder, train, test), row
        self._spent, self._begun, self._done, self._next = 0.0, 0.0, 0, 1

    def __call__(self, event: str, facts: Any) -> None:
        if event != "train":
            return
        self._begun, self._done = self._begun or time.perf_counter(), facts["done"]
        if self._done < facts["of"] and self._done >= self._next * facts["of"] / 6:
            self._next += 1
            self.emit()

    def emit(self) -> None:
        """A row of what it is worth now."""
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        seconds = begin - self._begun - self._spent
        emit(**self._row, samples=self._done, seconds=seconds, knn=knn(*self._of))
        self._spent += time.perf_counter() - begin


def pretexts() -> None:
    """Each pretext, its shuffled control and the random encoder, from the same weights."""
    with images(FEWER, FEWER // 2) as (train, test):
        for seed, (task, (name, options, objective)) in product(SEEDS, TASKS.items()):
            if task in ONLY or not ONLY:
                encoder = _encoder(train, seed)
                random = knn(encoder, train, test)
                pretext = PRETEXTS[name](RECIPE, **options)
                wish = Wish(objective, SAMPLES, plan=PLAN)
                begin = time.perf_counter()
                twin = _trained(train, encoder, pretext, wish, seed, ignore)[1]
                seconds = time.perf_counter() - begin
                scores = {"trained": encoder, "shuffled": twin}
                scores = {what: knn(made, train, test) for what, made in scores.items()}
                facts = {
                    "device": NAME,
                    "backbone": BACKBONE,
                    "task": task,
                    "objective": objective,
                    "seed": seed,
                }
                facts |= {"samples": SAMPLES, "seconds": seconds, "random": random}
                emit(part="pretexts", **facts, **scores)


def objectives() -> None:
    """Each objective for the same time, with a usual pretext, beside the controls."""
    with images(FEWER, FEWER // 2) as (train, test):
        labels = classes(train, test)
        raw = [
            np.asarray(each.data["image"], np.float32).reshape(len(each), -1)
            for each in (train, test)
        ]
        pca = PCA(min(256, len(train)), random_state=0).fit(raw[0])
        encoder = _encoder(train, 0)
        _judged("raw input", "", raw, labels, 0, 0.0)
        _judged("PCA of the input", "", [pca.transform(each) for each in raw], labels, 0, 0.0)
        _judged("random encoder", "", features(encoder, train, test), labels, 0, 0.0)
        for name, kind in EVERY.items():
            task = {"hidden": "missing", "classes": "transform"}.get(kind.takes, "two_views")
            pretext = PRETEXTS[task](RECIPE)
            for shuffle in (False, True) if name in ("simclr", "cross_entropy") else (False,):
                encoder = _encoder(train, 0)
                left = SECONDS * (2 if shuffle else 1)
                wish = Wish(name, None, lambda: left, shuffle, plan=PLAN)  # noqa: B023
                begin = time.process_time()
                facts, twin = _trained(train, encoder, pretext, wish, 0, ignore)
                spent = time.process_time() - begin
                seen = features(twin if shuffle else encoder, train, test)
                what = f"{name}, shuffled" if shuffle else name
                _judged(what, task, seen, labels, facts["samples"], spent / (2 if shuffle else 1))


def _judged(name: str, task: str, seen: list, labels: list, samples: int, spent: float) -> None:
    scores = {"knn": knn_of(*seen, *labels)}
    told = linear_predict(seen[0], labels[0], seen[1])
    scores["probe"] = float((told == labels[1]).mean() * 100)
    facts = {"device": NAME, "backbone": BACKBONE, "name": name, "task": task, "samples": samples}
    emit(part="objectives", **facts, cpu_s=spent, **scores)


if __name__ == "__main__":
    parts = {"speed": speed, "curves": curves, "pretexts": pretexts, "objectives": objectives}
    run_parts(__doc__, parts, HEAD, TABLES)
