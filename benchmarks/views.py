"""Is the label-free choice of views right? Every candidate alone, on held-out training images.

    python benchmarks/views.py cifar10 fashion pneumonia trashnet --examples 3000

For each named recipe of views: how often a view is kept, the score the choice rests on (see
`src/stepwell/recalibrate.py`), and kNN on a quarter of the training images when pairs are made
with that recipe alone, minus kNN of whitening without pairs. `rule` is what the choice picks.
Test parts are not read. One JSON line each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from images import prepare

from stepwell.encoders import PatchEncoder
from stepwell.engines import Choice, DenseMoments, Quantiser, SpectralMap, solve, whitening
from stepwell.evaluate.probe import knn
from stepwell.interfaces import Batch, concatenate, ignore
from stepwell.pretexts import TwoViews
from stepwell.recalibrate import SAFE, _Judge, calibrate
from stepwell.sources import open_source
from stepwell.views import RECIPES

PARTNERS = 2
WANTED = Choice(k=512, rho=0.25)


def some_of(path: Path, count: int) -> tuple[Batch, np.ndarray]:
    """About ``count`` examples spread over a source, in random order, and their classes."""
    source = open_source(path)
    known = source.labels()
    ids = list(known)
    chosen = set(ids[:: max(1, len(ids) // count)][:count])
    whole = concatenate(list(source.batches(256, ids=chosen)))
    whole = whole.take(np.random.default_rng(0).permutation(len(whole)))
    return whole, np.unique([known[str(i)] for i in whole.ids], return_inverse=True)[1]


class Trial:
    """Pairs of three quarters of the examples, kNN on the last quarter."""

    def __init__(self, encoder: PatchEncoder, batch: Batch, labels: np.ndarray) -> None:
        cut = len(batch) * 3 // 4
        self.encoder, self.labels, self.cut = encoder, labels, cut
        features = encoder.embed(batch)
        self.quantiser = Quantiser.fit(features)
        self.codes = self.quantiser(features)
        self.known = batch.take(slice(0, cut))

    def law(self, recipe: list[str]):
        """Moments of each example and two views of it."""
        pretext = TwoViews(recipe)
        seen = [pretext.changed(self.known, 0, epoch) for epoch in range(PARTNERS)]
        codes = [self.codes[: self.cut], *(self.quantiser(self.encoder.embed(s)) for s in seen)]
        moments = DenseMoments(self.encoder.width)
        moments.add(np.concatenate(codes), np.tile(np.arange(self.cut), 1 + PARTNERS))
        return moments.law()

    def score(self, modes, choice: Choice) -> float:
        """kNN on the held-out quarter."""
        z = SpectralMap.build(self.quantiser, modes, choice).of_codes(self.codes)
        bank, asked = z[: self.cut], z[self.cut :]
        found = knn(bank, self.labels[: self.cut], asked)
        return 100 * float((found == self.labels[self.cut :]).mean())


def main() -> None:
    """Every recipe on every data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--examples", type=int, default=3000)
    options = parser.parse_args()
    for data in options.data:
        with tempfile.TemporaryDirectory() as scratch:
            train, _ = prepare(data, Path(scratch), None)
            batch, labels = some_of(train, options.examples)
        founders = batch.take(slice(0, 2000))
        fitted = PatchEncoder("fast").fit(founders)
        found = calibrate(fitted, TwoViews(), founders, seed=0, observe=ignore)
        trial, judge = (
            Trial(found.encoder, batch, labels),
            _Judge(found.encoder, founders, found.features, 0),
        )
        bar = SAFE * judge.kept(TwoViews(TwoViews.gentlest))[0]
        plain = replace(WANTED, alpha=0.0)
        base = trial.score(whitening(trial.law(["shift"]), plain), plain)
        tried = {name: [name] for name in RECIPES if name != "flip"}
        for name, recipe in {"rule": list(found.pretext.recipe), **tried}.items():
            kept, retrieval = judge.kept(TwoViews(recipe))
            row = {"data": data, "view": name, "recipe": "+".join(recipe), "kept": round(kept, 3)}
            row |= {"safe": kept >= bar, "retrieval": round(retrieval, 3), "whitening": base}
            score = trial.score(solve(trial.law(recipe), WANTED), WANTED)
            row |= {"score": score, "gain": round(score - base, 2)}
            print(json.dumps(row | {"mirror": found.encoder.mirror}), flush=True)


if __name__ == "__main__":
    main()
