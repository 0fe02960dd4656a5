"""What rounding features to small integers costs, in points of kNN.

    python benchmarks/rounding.py --examples 10000

Learns from CIFAR-10, then solves the same pairs again from float64 sums of float32 features, with
the run's own ρ, k and α, and scores both on the test part. One JSON line.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from images import part_and_preset, prepare

import stepwell as sw
from stepwell.engines import Law, solve, units_of
from stepwell.evaluate.probe import knn
from stepwell.recording import pretext_of
from stepwell.sources import open_source


def law_of_floats(run: sw.Run, train: Path) -> Law:
    """The pair law of unrounded features: units of two rows, as int8 sums hold them."""
    encoder, pretext, d = run.encoder, pretext_of(run.config), len(run.map.mu)
    total, cross, square, units = np.zeros(d), np.zeros((d, d)), np.zeros((d, d)), 0
    for batch in open_source(train).batches(512):
        for pairs in pretext.pairs(batch, run.config["learn"]["seed"]):
            rows = encoder.embed(pairs.x).astype(np.float64) - run.map.quantiser.mean
            order, start, count = units_of(pairs.unit)
            start = start[count == 2]
            one, two = rows[order[start]], rows[order[start + 1]]
            total += (one + two).sum(0) / 2
            cross += one.T @ two
            square += (one.T @ one + two.T @ two) / 2
            units += len(start)
    mu = total / units
    gamma = (cross + cross.T) / 2 / units - np.outer(mu, mu)
    return Law(mu, gamma, square / units - np.outer(mu, mu), units)


def main() -> None:
    """One row."""
    options = part_and_preset(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        train, test = prepare("cifar10", Path(scratch), options.examples)
        run = sw.learn(train, Path(scratch) / "run", preset=options.preset, report=False)
        law = law_of_floats(run, train)
        modes = solve(law, run.map.choice)
        weighted = modes.vectors * modes.values**run.map.choice.alpha
        sides = [[], [], [], []]
        for src, (ours, floats) in ((train, sides[:2]), (test, sides[2:])):
            for batch in open_source(src).batches(512):
                features = run.encoder.embed(batch)
                z = (features - run.map.quantiser.mean - law.mu) @ weighted
                floats.append(z / np.linalg.norm(z, axis=1, keepdims=True))
                ours.append(run.map(features))
        labels = [list(open_source(src).labels().values()) for src in (train, test)]
        names, known = np.unique(labels[0], return_inverse=True)
        truth = np.searchsorted(names, labels[1])
    joined = [np.concatenate(side) for side in sides]
    scores = [100 * float((knn(joined[i], known, joined[i + 2]) == truth).mean()) for i in (0, 1)]
    row = {"rounded": scores[0], "floats": scores[1], "cost": scores[1] - scores[0]}
    print(json.dumps(row | {"units": law.units}), flush=True)


if __name__ == "__main__":
    main()
