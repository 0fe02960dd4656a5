"""Rates of the gradient engine that are searched for without labels: short trainings, compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from stepwell.engines.choosing import separation
from stepwell.engines.gradient.plan import usual_rate
from stepwell.evaluate.neighbours import retrieved, unit
from stepwell.interfaces import Observer, Row, StepwellError, UsageError, ignore
from stepwell.kit.torch import judging
from stepwell.showing import shown_of
from stepwell.wishing import Wish

EPOCHS, FEWEST, MOST = 2, 2_000, 20_000
"""Of a trial: passes over the examples, and samples at least and at most."""
SHARE = 1 / 3
"""Of the time there is, that trials may take."""
JUDGES = 500
RUNGS = (0.25, 0.5, 0.75)
"""Where a trial is asked, and given up if it lies below the median of those before."""
WIDER = 4.0
"""How far rates go from the usual one, up and down."""
DECAYS, WARMUPS = (0.0, 0.02, 0.05, 0.1), (0.05, 0.1, 0.3)


def searched(
    wish: Wish, made: Callable[[Wish, Observer], Any], tell: Observer
) -> tuple[Wish, list[Row]]:
    """The wish with the rate, decay and warm-up of the best of so many short trainings.

    Each is judged by how often a view finds its own example among hundreds, by the features that
    it was trained to: all on the same examples and views (those of the pairs, which were found to
    be safe). What was asked for is not searched.

    Parameters
    ----------
    made : callable
        ``made(wish, tell) -> Training`` of a copy of the encoder.

    Returns
    -------
    Wish
    list of row
        Of each trial what was tried, its ``score``, and whether it was ``pruned``, ``chosen``.

    Raises
    ------
    StepwellError
        Without optuna.
    """
    optuna = _optuna()
    first = made(replace(wish, samples=FEWEST, left=None), ignore)
    if first.fabric.world_size > 1:
        raise UsageError("Expected one process to search with, found several: leave --trials out.")
    samples = int(np.clip(EPOCHS * len(first.data), FEWEST, MOST))
    usual = usual_rate(first.plan.optimizer, first.plan.batch)
    judge = Judge(first)
    short = replace(wish, samples=samples, left=None, shuffled=False, labelled=None)

    def tried(trial: Any) -> float:
        plan = _suggested(trial, usual, wish.plan) | dict(wish.plan)
        told = _Told(trial, judge, optuna)
        training = told.training = made(replace(short, plan=plan), told)
        training.run()
        tell("search", {"done": trial.number + 1, "of": wish.trials})
        return judge(training.encoder)

    study = _study(optuna, wish.trials, first.seed)
    first_tried = {"rate": usual, "decay": 0.05, "warmup": 0.1}  # what is usual
    study.enqueue_trial({k: v for k, v in first_tried.items() if k not in wish.plan})
    seconds = wish.left(0.0) * SHARE if wish.left else None
    study.optimize(tried, n_trials=wish.trials, timeout=seconds)
    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    if not done:  # no time was left for one
        return wish, []
    best = study.best_trial
    rows = [_row(trial, trial.number == best.number, optuna) for trial in study.trials]
    return replace(wish, plan=dict(best.params) | dict(wish.plan)), rows


def _study(optuna: Any, trials: int, seed: int) -> Any:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(3, trials // 3))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


class Judge:
    """Examples and views that trials are compared on.

    Parameters
    ----------
    training : Training
        Whose data and pairs they are of.
    """

    def __init__(self, training: Any) -> None:
        rows = training.data.rows_of(0, min(JUDGES, len(training.data)), training.seed + 2)[0]
        batch = training.data.take(rows)
        self._views = shown_of(training.pairs, batch, training.seed + 2, 0).views[:2]

    def __call__(self, encoder: Any) -> float:
        """Share of views that find their own, and a little of how far they stand out."""
        with judging(encoder.module):
            one, other = (
                encoder.module(encoder.prepared(side)).float().cpu().numpy() for side in self._views
            )
        centre = one.mean(0)
        one, other = unit(one - centre), unit(other - centre)
        return float(retrieved(one, other).mean() + 0.01 * separation(one, other))


class _Told:
    """Asks a training how far it has come, and gives it up if others had come further."""

    def __init__(self, trial: Any, judge: Judge, optuna: Any) -> None:
        self._trial, self._judge, self._optuna = trial, judge, optuna
        self._rungs, self.training = list(RUNGS), None

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        if event != "train" or not self._rungs or self.training is None:
            return
        share = facts["done"] / facts["of"]
        if share < self._rungs[0]:
            return
        rung = len(RUNGS) - len(self._rungs)
        self._rungs.pop(0)
        self._trial.report(self._judge(self.training.encoder), rung)
        if self._trial.should_prune():
            raise self._optuna.TrialPruned


def _suggested(trial: Any, usual: float, pinned: Mapping[str, Any]) -> dict[str, Any]:
    """What is not told already."""
    found = {}
    if "rate" not in pinned:
        found["rate"] = trial.suggest_float("rate", usual / WIDER, usual * WIDER, log=True)
    for name, kinds in (("decay", DECAYS), ("warmup", WARMUPS)):
        if name not in pinned:
            found[name] = trial.suggest_categorical(name, kinds)
    return found


def _row(trial: Any, chosen: bool, optuna: Any) -> Row:
    pruned = trial.state == optuna.trial.TrialState.PRUNED
    last = max(trial.intermediate_values, default=None)
    score = trial.intermediate_values[last] if pruned else trial.value
    row = {name: float(value) for name, value in trial.params.items()}
    return row | {"score": float(score or 0.0), "pruned": pruned, "chosen": chosen}


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise StepwellError(
            "Expected optuna for --trials, found none: pip install 'stepwell[search]'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
