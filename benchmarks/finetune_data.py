"""Runs on labelled data sets, few labels of these, and baselines, for `finetune.py`."""

from __future__ import annotations

import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from images import prepare
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import stepwell as sw
from stepwell.contestants import random_encoder
from stepwell.evaluate.controls import raw_features
from stepwell.features import EMBEDDING, features_of
from stepwell.fitting import POOL, fitted_head
from stepwell.kit.sampling import evenly
from stepwell.sources import open_source

SETS = {"fashion": 10_000, "trashnet": None, "pneumonia": None, "cifar10": 10_000}
TESTED = 2000


class Few:
    """A run, features of what it learned from and of test examples, and their labels."""

    def __init__(self, name: str) -> None:
        self.name, self._scratch = name, tempfile.TemporaryDirectory()
        folder = Path(self._scratch.name)
        train, self.test = prepare(name, folder, SETS[name])
        self.run = sw.learn(train, folder / "run", preset="fast", report=False)
        random = random_encoder(self.run.encoder, 0)
        sides = [self._read(self.run, random, source) for source in (train, self.test)]
        (self.x, self.images, known), (self.tested, self.shown, asked) = sides
        self.classes, self.y = np.unique(known, return_inverse=True)
        self.truth = np.array([list(self.classes).index(label) for label in asked])

    @staticmethod
    def _read(run: Any, random: Any, path: Path) -> tuple[dict, np.ndarray, np.ndarray]:
        source, parts, images, labels = run.open(path), [], [], []
        known = open_source(path).labels()
        for batch in source.batches(run.chunk):
            features = features_of(run, batch, None)
            features["raw"] = raw_features(batch)
            features["random"] = np.asarray(random(batch, None), np.float32)
            parts.append(features)
            images.append(batch.data["image"])
            labels += [known[str(i)] for i in batch.ids]
        some = np.random.default_rng(0).permutation(len(labels))[: 5 * TESTED]
        joined = {k: np.concatenate([part[k] for part in parts])[some] for k in parts[0]}
        return joined, np.concatenate(images)[some], np.array(labels)[some]

    def head(self, rows: np.ndarray, labels: np.ndarray | None = None) -> Any:
        """What `finetune` chooses from the labels of some rows."""
        told = self.y[rows] if labels is None else labels
        others = np.setdiff1d(np.arange(len(self.y)), rows)
        pool = self.x[EMBEDDING][evenly(others, POOL)]
        features = {name: each[rows] for name, each in self.x.items()}
        groups = [str(i) for i in rows]
        names = [f"{c:03d}" for c in told]
        return fitted_head(features, names, groups, pool)


@cache
def opened(name: str) -> Few:
    return Few(name)


def classical(data: Few, rows: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Logistic regression and an SVM on components of pixels; the former on random patches."""
    y, found = data.y[rows], {}
    raw = PCA(128, random_state=0).fit(data.x["raw"])
    x, asked = (raw.transform(side["raw"]) for side in (data.x, data.tested))
    size = x.std()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["SVM on PCA of pixels"] = (
            SVC(C=10).fit(x[rows] / size, y).predict(asked[:TESTED] / size)
        )
        for title, a, b in (
            ("logistic on PCA of pixels", x / size, asked / size),
            ("logistic on random patches", data.x["random"], data.tested["random"]),
        ):
            made, scale = LogisticRegression(max_iter=200), a.std()
            found[title] = made.fit(a[rows] / scale, y).predict(b[:TESTED] / scale)
    return {title: 100 * float((told == truth).mean()) for title, told in found.items()}


def scratch(data: Few, rows: np.ndarray, truth: np.ndarray, seed: int) -> float:
    """A convnet trained on the labels alone, with flips and shifts."""
    import torch
    from convnet import small

    torch.manual_seed(seed)
    channels = data.images.shape[-1]
    net = torch.nn.Sequential(
        small(channels),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(256, len(data.classes)),
    )

    def ready(images: np.ndarray) -> Any:
        x = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
        return torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True) - 0.5

    x, y = ready(data.images[rows]), torch.tensor(data.y[rows])
    steps = int(np.clip(60 * len(rows) / 32, 100, 400))
    rate = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    course = torch.optim.lr_scheduler.OneCycleLR(rate, 2e-3, total_steps=steps)
    for _ in range(steps):
        own = torch.randint(len(x), (min(32, 2 * len(x)),))
        seen = torch.roll(x[own], tuple(int(s) for s in torch.randint(-3, 4, (2,))), (2, 3))
        seen = seen.flip(3) if torch.rand(()) < 0.5 else seen
        loss = torch.nn.functional.cross_entropy(net(seen), y[own])
        rate.zero_grad()
        loss.backward()
        rate.step()
        course.step()
    net.eval()
    with torch.inference_mode():
        parts = [net(ready(data.shown[i : i + 500])).argmax(1) for i in range(0, len(truth), 500)]
    return 100 * float((torch.cat(parts)[: len(truth)].numpy() == truth).mean())
