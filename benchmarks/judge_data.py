"""Six data sets of four kinds, each with an encoder and many pretexts, for `judge.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from images import DATA, prepare
from views import some_of

from stepwell.encoders import PatchEncoder, WordEncoder
from stepwell.interfaces import Batch, ignore
from stepwell.kit.hashing import digest_rows, keys, uniform
from stepwell.pretexts import TwoViews
from stepwell.pretexts.texts import TextNeighbours, TextViews
from stepwell.recalibrate import SAFE, _Judge, calibrate

RECIPES = ("shift", "zoom-mild", "zoom", "zoom-strong", "jitter-mild", "jitter", "rotation")
RECIPES += ("noise", "blur", "erase", "zoom jitter-mild", "zoom jitter", "zoom rotation")


@dataclass
class Task:
    """Examples with their classes, what sees them, and pairs that may be made of them.

    ``pretexts`` say of a batch and an epoch what the two sides of its pairs are, row by row;
    ``safe`` names those that the rule for views lets pass, each alone; ``default`` is what is
    used where nothing is chosen. ``tested`` takes part in no choice.
    """

    encoder: Any
    batch: Batch
    labels: np.ndarray
    pretexts: Mapping[str, Callable[[Batch, int], tuple[Batch, Batch]]]
    safe: list[str]
    default: str
    tested: Batch
    truth: np.ndarray


def images(name: str, examples: int) -> Task:
    with tempfile.TemporaryDirectory() as scratch:
        train, test = prepare(name, Path(scratch), None)
        batch, labels = some_of(train, examples)
        tested, truth = some_of(test, 2000)
    founders = batch.take(slice(0, min(2000, len(batch) // 2)))
    fitted = PatchEncoder("fast").fit(founders)
    found = calibrate(fitted, TwoViews(), founders, seed=0, observe=ignore)
    judge = _Judge(found.encoder, founders, found.features, 0)
    bar = SAFE * judge.kept(TwoViews(TwoViews.gentlest))[0]
    made = {name: TwoViews(name.split()) for name in RECIPES} | {"rule": found.pretext}
    safe = [name for name in RECIPES if " " not in name and judge.kept(made[name])[0] >= bar]
    sides = {name: lambda b, epoch, p=p: (b, p.changed(b, 0, epoch)) for name, p in made.items()}
    return Task(found.encoder, batch, labels, sides, safe, "zoom", tested, truth)


def texts(name: str, examples: int) -> Task:
    del name
    batch, labels = some_of(DATA / "sst2" / "train.tsv", examples)
    encoder = WordEncoder("fast").fit(batch)

    def parted(pretext: Any) -> Callable:
        def sides(some: Batch, epoch: int) -> tuple[Batch, Batch]:
            rows = next(iter(pretext.pairs(some, 0, epoch))).x
            return rows.take(slice(0, None, 2)), rows.take(slice(1, None, 2))

        return sides

    def fewer(share: float) -> Callable:
        """A text, and a random part of its words."""

        def sides(some: Batch, epoch: int) -> tuple[Batch, Batch]:
            drawn = iter(uniform(keys(some.digest, 0, epoch, 7), 400))
            kept = []
            for text, own in zip(some.data["text"], drawn, strict=True):
                words = str(text).split()
                few = [w for w, u in zip(words, own, strict=False) if u < share] or words[:1]
                kept.append(" ".join(few))
            return some, some.with_data(text=np.array(kept, dtype=object))

        return sides

    made = {"halves": parted(TextViews()), "neighbours": parted(TextNeighbours())}
    made |= {f"keep {share}": fewer(share) for share in (0.9, 0.7, 0.5, 0.25)}
    long = np.array([len(str(t).split()) >= 4 for t in batch.data["text"]])
    some = batch.take(np.flatnonzero(long)), labels[long]
    return Task(
        encoder, *some, made, list(made), "halves", *some_of(DATA / "sst2" / "dev.tsv", 900)
    )


class Kernels:
    """Share of a series above a level after random convolutions, as in MiniRocket (A. Dempster et
    al., KDD 2021)."""

    def __init__(self, values: np.ndarray, count: int = 84, seed: int = 0) -> None:
        r = np.random.default_rng(seed)
        self.taps = [
            np.where(np.isin(np.arange(9), r.choice(9, 3, False)), 2.0, -1.0) for _ in range(count)
        ]
        self.gaps = [1, 2, 4, 8, 15]
        self.levels = None
        self.levels = self._each(values, lambda z: np.quantile(z, [0.2, 0.5, 0.8]))

    def _each(self, values: np.ndarray, what: Callable) -> list:
        return [what(z) for z in self._convolved(values)]

    def _convolved(self, values: np.ndarray) -> Iterator[np.ndarray]:
        for gap in self.gaps:
            reach = 4 * gap
            wide = np.pad(values, [(0, 0), (reach, reach)])
            parts = np.stack([wide[:, i * gap : i * gap + values.shape[1]] for i in range(9)])
            yield from np.tensordot(np.stack(self.taps), parts, 1)

    @property
    def width(self) -> int:
        return 3 * len(self.taps) * len(self.gaps)

    def embed(self, batch: Batch) -> np.ndarray:
        found = zip(self._convolved(batch.data["values"]), self.levels, strict=True)
        return np.float32(np.concatenate([(z[..., None] > own).mean(1) for z, own in found], 1))


def series(name: str, examples: int) -> Task:
    del name
    table = np.loadtxt(DATA / "ecg5000" / "ECG5000_TRAIN.txt.gz")
    table = table[np.random.default_rng(0).permutation(len(table))][:examples]
    values, labels = np.float32(table[:, 1:]), np.unique(table[:, 0], return_inverse=True)[1]
    ids = np.array([f"beat {i}" for i in range(len(table))])
    batch = Batch(ids, {"values": values}, ids, digest_rows(v.tobytes() for v in values))
    time = np.linspace(0, 1, values.shape[1], dtype=np.float32)

    def seen(change: Callable) -> Callable:
        def sides(some: Batch, epoch: int) -> tuple[Batch, Batch]:
            u = np.float32(uniform(keys(some.digest, 0, epoch, 3), 200))
            return some, some.with_data(values=change(some.data["values"], u))

        return sides

    def warped(x: np.ndarray, u: np.ndarray, share: float) -> np.ndarray:
        size = 1 - share * u[:, :1]
        place = (1 - size) * u[:, 1:2] + size * time
        return np.float32([np.interp(p, time, row) for p, row in zip(place, x, strict=True)])

    def shifted(x: np.ndarray, u: np.ndarray, share: float) -> np.ndarray:
        steps = np.rint((u[:, 0] - 0.5) * 2 * share * x.shape[1]).astype(int)
        return np.stack([np.roll(row, s) for row, s in zip(x, steps, strict=True)])

    def noisy(x: np.ndarray, u: np.ndarray, size: float) -> np.ndarray:
        return x + size * 3.46 * (u[:, : x.shape[1]] - 0.5)

    def drift(x: np.ndarray, u: np.ndarray, size: float) -> np.ndarray:
        return x + size * np.sin(2 * np.pi * (u[:, :1] + (0.5 + u[:, 1:2]) * time))

    made = {f"shift {s}": seen(lambda x, u, s=s: shifted(x, u, s)) for s in (0.02, 0.1)}
    made |= {f"window {s}": seen(lambda x, u, s=s: warped(x, u, s)) for s in (0.1, 0.3, 0.6)}
    made |= {f"noise {s}": seen(lambda x, u, s=s: noisy(x, u, s)) for s in (0.05, 0.2, 0.5)}
    made |= {f"drift {s}": seen(lambda x, u, s=s: drift(x, u, s)) for s in (0.2, 0.6)}
    made |= {"upside down": seen(lambda x, u: np.where(u[:, :1] < 0.5, x, -x))}
    made |= {"backwards": seen(lambda x, u: np.where(u[:, :1] < 0.5, x, x[:, ::-1]))}
    cut = len(table) * 4 // 5
    sides = [(batch.take(rows), labels[rows]) for rows in (slice(cut), slice(cut, None))]
    return Task(Kernels(values[:cut]), *sides[0], made, [], "shift 0.02", *sides[1])


DATASETS: dict[str, tuple[Callable[[str, int], Task], int]] = {
    "cifar10": (images, 6000),
    "fashion": (images, 6000),
    "pneumonia": (images, 3882),
    "trashnet": (images, 1017),
    "beats": (series, 500),
    "sentiment": (texts, 6900),
}
