"""Does an embedding judge itself? Choices of views, ridge, dimensions and weights, ranked without
labels and with them; learning with and without such choices; what labels would add.

    python benchmarks/judge.py ranking recalibration > build/judge.jsonl
    python benchmarks/judge.py --table build/judge.jsonl > benchmarks/results/judge.md

Every choice is learned from two thirds of the training examples (a half where there are few); 300
of the others judge it without their labels, kNN on all of them with. Test parts are read only for
what was chosen.
"""

from __future__ import annotations

import os
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")  # as the command line does

import numpy as np
from images import prepare
from judge_data import DATASETS, Task
from scipy.stats import rankdata, spearmanr
from tables import emit, grouped, headed, run_parts, spread, table

import stepwell as sw
from stepwell.engines import Choice, DenseMoments, Quantiser, SpectralMap, solve, whitening
from stepwell.engines.choosing import separation
from stepwell.engines.spectral import auto_law
from stepwell.evaluate import unlabelled as score
from stepwell.evaluate.neighbours import retrieved
from stepwell.evaluate.probe import knn
from stepwell.recalibrate import SAFE, _nearest_other
from stepwell.sources import open_source

RHOS, WIDTHS, ALPHAS = (0.25, 1.0), (64, 128, 256), (1.0, 2.0)
JUDGES = 300
SEEDS = 3
LEARNED: dict[str, int | None] = {"cifar10": 10_000, "trashnet": None, "pneumonia": None}
LEARNED |= {"fashion": 10_000, "digits": None}
"""Examples to learn from; None: all."""
OURS = ("mix kept", "mix separation", "mix agreement", "uniformity")
"""Ranks by these are added up: two say that views stay what they are, two that examples differ."""
OTHERS = ("rankme", "own lidar", "mix retrieval", "mix separation", "own separation")


class Trial:
    """Features of a task, and what a choice makes of them."""

    def __init__(self, task: Task) -> None:
        self.task, count = task, len(task.batch)
        self.cut = count // 2 if count < 2000 else count * 2 // 3
        self.known = task.batch.take(slice(0, self.cut))
        features = np.asarray(task.encoder.embed(task.batch))
        self.quantiser = Quantiser.fit(features[: self.cut])
        self.codes = self.quantiser(features)
        self.tested = self.encode(task.tested)
        judges = task.batch.take(slice(self.cut, self.cut + JUDGES))
        self.views = {
            name: [self.encode(side) for epoch in (5, 6) for side in pairs(judges, epoch)]
            for name, pairs in task.pretexts.items()
        }
        self.safe = task.safe or self._safe()

    def encode(self, batch: Any) -> np.ndarray:
        return np.asarray(self.quantiser(self.task.encoder.embed(batch)))

    def _safe(self) -> list[str]:
        """Views that are kept nearly as often as the one that is kept most."""
        choice = Choice(k=64, rho=1.0, alpha=0.0)
        plain = whitening(auto_law(self.codes[: self.cut]), choice)
        known = SpectralMap.build(self.quantiser, plain, choice)
        rates = {
            name: kept(*(known.of_codes(side) for side in sides[1::-1]))
            for name, sides in self.views.items()
        }
        return [name for name, rate in rates.items() if rate >= SAFE * max(rates.values())]

    def law(self, recipe: str) -> Any:
        moments = DenseMoments(self.codes.shape[1])
        for epoch in range(2):
            one, other = self.task.pretexts[recipe](self.known, epoch)
            own = self.codes[: self.cut] if one is self.known else self.encode(one)
            unit = np.tile(np.arange(self.cut), 2)
            moments.add(np.concatenate([own, self.encode(other)]), unit)
        return moments.law()

    def right(self, made: SpectralMap, codes: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Whether kNN in what was learned from tells each."""
        bank = made.of_codes(self.codes[: self.cut])
        return knn(bank, self.task.labels[: self.cut], made.of_codes(codes)) == truth

    def scores(self, made: SpectralMap, own: str) -> dict[str, float]:
        seen = {
            name: [np.asarray(made.of_codes(side)) for side in sides]
            for name, sides in self.views.items()
        }
        found: dict[str, float] = {}
        for where, names in (("mix", self.safe), ("own", [own])):
            parts = [_of_views(*seen[name]) for name in names]
            found |= {f"{where} {n}": float(np.mean([p[n] for p in parts])) for n in parts[0]}
        whole = made.of_codes(self.codes[self.cut : self.cut + JUDGES])
        names = ("rankme", "effective_rank", "alpha_req", "nesum")
        found |= {name: float(getattr(score, name)(whole)) for name in names}
        return found | {"uniformity": -score.uniformity(whole)}


def _of_views(one: Any, view: Any, _: Any, again: Any) -> dict[str, float]:
    return {
        "retrieval": float(retrieved(view, one).mean()),
        "kept": kept(view, one),
        "separation": separation(view, one),
        "agreement": score.agreement(view, one),
        "lidar": score.lidar(np.stack([one, view, again], 1)),
    }


def kept(views: np.ndarray, known: np.ndarray) -> float:
    """Share of views nearer to their own example than that one's nearest neighbour is."""
    return float(((views * known).sum(1) > _nearest_other(known, known)).mean())


def ranking() -> None:
    """Every choice on every data set: scores without labels, and kNN."""
    for name, (make, examples) in DATASETS.items():
        trial = Trial(make(name, examples))
        task, asked = trial.task, trial.codes[trial.cut :]
        half = np.arange(len(asked)) % 2 == 0
        for recipe in task.pretexts:
            law = trial.law(recipe)
            for rho, alpha in product(RHOS, ALPHAS):
                modes = solve(law, Choice(k=max(WIDTHS), rho=rho, alpha=alpha))
                for k in (k for k in WIDTHS if k <= len(modes.values)):
                    made = SpectralMap.build(trial.quantiser, modes, Choice(k, rho, alpha))
                    right = trial.right(made, asked, task.labels[trial.cut :])
                    row = {"part": "ranking", "data": name, "recipe": recipe, "rho": rho}
                    row |= {"alpha": alpha, "k": k, "knn": 100 * right.mean()}
                    row |= {"one": 100 * right[half].mean(), "other": 100 * right[~half].mean()}
                    row |= {"test": 100 * trial.right(made, trial.tested, task.truth).mean()}
                    row |= {"default": recipe == task.default, "safe": recipe in trial.safe}
                    emit(**row, **trial.scores(made, recipe))


def recalibration() -> None:
    """`learn` as it is, and with --recalibrate off: kNN on the test part."""
    for name, seed in product(LEARNED, range(SEEDS)):
        with tempfile.TemporaryDirectory() as scratch:
            train, test = prepare(name, Path(scratch), LEARNED[name])
            for on in (True, False):
                out = Path(scratch) / f"run-{on}"
                run = sw.learn(train, out, preset="fast", seed=seed, recalibrate=on, report=False)
                used = "+".join(v["name"] for v in run.config["views"] if v["used"])
                choice = run.config["choice"]
                row = {"part": "recalibration", "data": name, "seed": seed, "on": on}
                row |= {
                    "views": used or "+".join(run.recipe),
                    "rho": choice["rho"],
                    "k": choice["k"],
                }
                emit(**row, knn=_knn_of(run, train, test))


def _knn_of(run: Any, train: Path, test: Path) -> float:
    known, asked = (open_source(path).labels() for path in (train, test))
    ids, bank = run.index
    parts = list(run.embed_batches(test))
    names = [str(i) for batch, _ in parts for i in batch.ids]
    classes = sorted(set(known.values()))
    labels = np.array([classes.index(known[str(i)]) for i in ids])
    truth = np.array([classes.index(asked[name]) for name in names])
    told = knn(bank.astype(np.float32), labels, np.concatenate([z for _, z in parts]))
    return 100 * float((told == truth).mean())


def _ranks(rows: list[dict], names: tuple[str, ...]) -> np.ndarray:
    return np.sum([rankdata([row[name] for row in rows]) for name in names], axis=0)


def ranking_table(rows: list[dict]) -> str:
    """Rank correlation with kNN, and what the pick costs, for each score."""
    lines = []
    for (data,), same in grouped(rows, "data").items():
        truth = np.array([row["knn"] for row in same])
        halves = spearmanr([r["one"] for r in same], [r["other"] for r in same])[0]
        ceiling = np.sqrt(max(2 * halves / (1 + halves), 0))
        cells = []
        for names in (OURS, *((name,) for name in OTHERS)):
            ranks = _ranks(same, names)
            lost = truth.max() - truth[ranks.argmax()]
            cells.append(f"{spearmanr(ranks, truth)[0]:.2f} / {lost:.1f}")
        extent = f"{truth.min():.1f} to {truth.max():.1f}"
        lines.append([data, str(len(same)), extent, f"{ceiling:.2f}", *cells])
    lines.append(["mean", "", "", "", *(_mean(line[i] for line in lines) for i in range(4, 10))])
    head = ["data", "choices", "kNN", "highest ρ that noise allows", "ours", *OTHERS]
    return table(head, lines)


def _mean(cells: Any) -> str:
    both = np.array([[float(x) for x in cell.split(" / ")] for cell in cells])
    return f"{both[:, 0].mean():.2f} / {both[:, 1].mean():.1f}"


def outside_table(rows: list[dict]) -> str:
    """Test accuracy of what is chosen: by nobody, by itself in two ways, by labels."""
    lines, gains = [], []
    for (data,), same in grouped(rows, "data").items():
        truth, ranks = np.array([row["knn"] for row in same]), _ranks(same, OURS)
        usual = [r for r in same if r["default"] and (r["rho"], r["alpha"]) == (0.25, 2.0)]
        plain = max(usual, key=lambda row: row["k"])
        ruled = [r for r in same if r["recipe"] == "rule"] or [r for r in same if r["default"]]
        ruled = [r for r in ruled if r["alpha"] == plain["alpha"]]
        own = max(ruled, key=lambda row: row["own separation"])
        ranked, told = same[int(ranks.argmax())], same[int(truth.argmax())]
        gains.append([own["test"] - plain["test"], told["test"] - own["test"]])
        cells = [f"{row['test']:.1f} ({_words(row)})" for row in (plain, own, ranked, told)]
        lines.append([data, *cells, *(f"{gain:+.1f}" for gain in gains[-1])])
    lines.append(["mean", "", "", "", "", *(f"{gain:+.1f}" for gain in np.mean(gains, 0))])
    head = ["data", "the default", "by itself, as `learn` does", "by ranks added up", "by labels"]
    return table([*head, "it gained", "labels add"], lines)


def _words(row: dict) -> str:
    return f"{row['recipe']}, ρ {row['rho']:g}, α {row['alpha']:g}, k {row['k']}"


def recalibration_table(rows: list[dict]) -> str:
    """Learning with and without."""
    lines = []
    for (data,), same in grouped(rows, "data").items():
        sides = [[row for row in same if row["on"] is on] for on in (False, True)]
        gain = np.mean([b["knn"] - a["knn"] for a, b in zip(*sides, strict=True)])
        cells = [spread([row["knn"] for row in side]) for side in sides]
        views = " · ".join(
            dict.fromkeys(f"{r['views']}, ρ {r['rho']:g}, k {r['k']}" for r in sides[1])
        )
        lines.append([data, *cells, f"{gain:+.1f}", views])
    return table(["data", "off", "on", "gain", "chosen"], lines)


PARTS = {"ranking": ranking, "recalibration": recalibration}
TABLES = {
    "ranking": (
        "Label-free scores beside kNN",
        "Rank correlation with kNN on held-out training examples / points of kNN that the choice "
        "ranked first lies below the best. `ours` adds up ranks of how often views are kept, how "
        "far they stand out (d′), shared neighbours, all on one mix of safe views, and uniformity. "
        "`own`: on the views that were learned from. The highest ρ that noise allows: from how "
        "well kNN on one half of these examples ranks choices as on the other.",
        ranking_table,
    ),
    "ranking:outside": (
        "What outside feedback adds",
        "kNN on the test part, which took part in no choice; the same choices as above, learned "
        "from the same examples. As `learn` does: views by the rule, then ridge and dimensions by "
        "how far views stand out (d′); texts and beats have one recipe. Labels: those of all "
        "examples that were held out from the training part.",
        outside_table,
    ),
    "recalibration": (
        "Learning with and without recalibration",
        f"kNN on the test part after `stepwell learn --preset fast`, {SEEDS} seeds; off: flip and "
        "zoom, ρ = ¼, all dimensions. Where the same is chosen, the run is the same.",
        recalibration_table,
    ),
}

if __name__ == "__main__":
    run_parts(__doc__, PARTS, headed("Judging itself without labels", "judge.py"), TABLES)
