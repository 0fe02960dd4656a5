"""Fine-tuning a run's network: how much is gained, and how much is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import Head, Scorer, heat_of, held_of
from stepwell.adapt.calibrate import shares
from stepwell.adapt.rules import logistic
from stepwell.adapt.tuning import Tuner, Tuning
from stepwell.encoders import NETWORKS
from stepwell.evaluate.unlabelled import agreement
from stepwell.features import ADAPTED
from stepwell.interfaces import Batch, Observer, Row, UsageError, concatenate
from stepwell.kit.hashing import fifth_of
from stepwell.kit.nearest import unit
from stepwell.run import Run

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the way from the weights of before to those after."""
KEEP = 10.0
"""Weight of old features at a dial of one half."""
EPOCHS, FEWEST, MOST = 30, 150, 1500
"""Passes over the labels; and steps, at least and at most."""
RATE = 2e-3
FEWEST_FREE = 30
"""Examples without labels; with fewer, labelled ones serve too."""
PROBED, OTHERS = 500, 2000
"""Examples without labels: to ask what is kept, and others that it is trained to keep."""


@dataclass(frozen=True, eq=False)
class Tuned:
    """What fine-tuning came to.

    Attributes
    ----------
    encoder : Encoder
        The run's, with other weights.
    head : Head
    curve : list of row
        Of each ``share`` of the way: ``skill``, accuracy on labels that were held back; ``kept``,
        share of each example's nearest ones that are the same as before; with old labels
        ``old_skill``; ``chosen``.
    """

    encoder: Any
    head: Head
    curve: list[Row]


def tune(
    run: Run,
    batch: Batch,
    labels: Sequence[str],
    *,
    retain: float = 0.5,
    old: tuple[Batch, Sequence[str]] | None = None,
    seed: int = 0,
    observe: Observer,
    **options: Any,
) -> Tuned:
    """Fine-tune a copy of a run's network on labelled examples.

    Parameters
    ----------
    retain : float
        0: only what is new counts; 1: only what it knew, so that its weights stay.
    old : batch and labels, optional
        Of an old task: how well a head for it still works is told.
    options
        Fields of :class:`~.adapt.tuning.Tuning`.

    Raises
    ------
    UsageError
        If the run has no network, or labels are too few to hold some back.
    """
    encoder: Any = run.encoder
    if encoder.name not in NETWORKS:
        raise UsageError(
            f"Expected a run with a network, found the encoder {encoder.name!r}: leave --engine "
            f"out, or learn with --engine gradient."
        )
    if not 0 <= retain <= 1:
        raise UsageError(f"Expected --retain from 0 to 1, found {retain}.")
    classes, truth = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    held = held_back(batch, seed)
    if len(np.unique(truth[~held])) < len(classes) or held.sum() < 2:
        raise UsageError(
            f"Expected labels enough to hold a fifth back and have each class in the rest, found "
            f"{len(truth):,} of {len(classes)} classes: label more, or leave --engine out."
        )
    old_task = None if old is None else OldTask(encoder, *old, seed)  # before it takes minutes
    asked, rest = _without_labels(run, set(map(str, batch.ids)), seed)
    task = _Task(encoder, batch, truth, held, retain, seed)
    probe = task.probe()
    tuning = task.tuning(options)
    tuner = Tuner(encoder.module, encoder.prepared, probe, tuning)
    if retain < 1:
        shown = task.shown(batch.take(np.flatnonzero(~held)), _pretext(run))
        others = task.shown(rest, None)
        tuner.run(shown, truth[~held], others, len(rest), observe)
    return task.chosen(tuner, probe, tuple(map(str, classes)), asked, old_task)


def held_back(batch: Batch, seed: int) -> NDArray[np.bool_]:
    """(n,) the fifth of labelled examples that is judged by."""
    return fifth_of(seed, [str(g) for g in batch.group])


class _Task:
    """Labelled examples, some of them held back, and a network."""

    def __init__(
        self,
        encoder: Any,
        batch: Batch,
        truth: NDArray[np.intp],
        held: NDArray[np.bool_],
        retain: float,
        seed: int,
    ) -> None:
        self.encoder, self.batch, self.truth, self.held = encoder, batch, truth, held
        self.retain, self.seed = retain, seed

    def probe(self) -> Scorer:
        """Logistic regression on the features of before."""
        known = self.batch.take(np.flatnonzero(~self.held))
        return probe_of(np.asarray(self.encoder.embed(known), np.float64), self.truth[~self.held])

    def tuning(self, options: dict[str, Any]) -> Tuning:
        count = int((~self.held).sum())
        rate = getattr(self.encoder, "suits", {}).get("rate", RATE)
        keep = KEEP * self.retain / max(1 - self.retain, 1e-3)
        batch = min(64, count)
        steps = int(np.clip(EPOCHS * count / batch, FEWEST, MOST))
        usual = {"steps": steps, "batch": batch, "rate": rate, "keep": keep, "seed": self.seed}
        return Tuning(**usual | {k: v for k, v in options.items() if v is not None})

    def shown(self, batch: Batch, pretext: Any) -> Callable:
        """What the network is shown of rows: changed by the run's views, where it has some."""

        def show(rows: NDArray[np.intp], step: int) -> Any:
            some = batch.take(rows)
            if pretext is not None:
                some = pretext.changed(some, self.seed, step)
            return self.encoder.inputs(some)

        return show

    def chosen(
        self,
        tuner: Tuner,
        probe: Scorer,
        classes: tuple[str, ...],
        asked: Batch,
        old_task: OldTask | None,
    ) -> Tuned:
        """The point between before and after that suits the dial."""
        before = np.asarray(self.encoder.embed(asked))
        twin, curve, ends, hits = self.encoder.copied(), [], [], []
        held = self.batch.take(np.flatnonzero(self.held))
        # One half of what is held back chooses the point, the other says how sure it is of it.
        choosing = np.random.default_rng(self.seed).permutation(len(held)) % 2 == 0
        for share in SHARES if self.retain < 1 else (0.0,):
            state, scorer = tuner.between(share, probe)
            twin.module.load_state_dict(state)
            scores = scorer(np.asarray(twin.embed(held), np.float64))
            right = scores.argmax(1) == self.truth[self.held]
            row: Row = {"share": share, "skill": float(right.mean())}
            row["kept"] = kept(before, np.asarray(twin.embed(asked)))
            if old_task is not None:
                row["old_skill"] = old_task(twin)
            curve.append(row | {"chosen": False})
            ends.append((state, scorer, scores))
            hits.append(right[choosing])
        best = least_moved(hits, self.retain)
        curve[best]["chosen"] = True
        state, scorer, scores = ends[best]
        twin.module.load_state_dict(state)
        return Tuned(twin, self._head(classes, scorer, scores, ~choosing), curve)

    def _head(
        self, classes: tuple[str, ...], scorer: Scorer, scores: NDArray, rows: NDArray[np.bool_]
    ) -> Head:
        scores, truth = scores[rows], self.truth[self.held][rows]
        heat = heat_of(scores, truth)
        held = held_of(shares(scores / heat), truth, np.zeros(0, np.intp), self.seed)
        return Head((ADAPTED,), "fine-tuned", classes, scorer, heat, held)


def least_moved(hits: Sequence[NDArray[np.bool_]], retain: float) -> int:
    """The first point that is not surely worse than the best: by less than one standard error at a
    dial of one half, by none at 0, by two at 1."""
    best = int(np.argmax([each.mean() for each in hits]))
    for place, own in enumerate(hits[:best]):
        worse = hits[best].astype(float) - own
        if worse.mean() <= 2 * retain * worse.std() / len(worse) ** 0.5:
            return place
    return best


class OldTask:
    """A head for an old task on the features of before; how well it tells those of another."""

    def __init__(self, encoder: Any, batch: Batch, labels: Sequence[str], seed: int) -> None:
        asked, told = held_back(batch, seed), np.asarray(labels, dtype=str)
        classes, truth = np.unique(told[~asked], return_inverse=True)
        mine = np.flatnonzero(asked & np.isin(told, classes))
        if len(classes) < 2 or not len(mine):
            raise UsageError(
                f"Expected labels of an old task of two classes or more, enough to hold a fifth "
                f"back, found {len(told):,} of {len(np.unique(told))} classes: give more of them."
            )
        known = batch.take(np.flatnonzero(~asked))
        self._head = probe_of(np.asarray(encoder.embed(known), np.float64), truth)
        self._batch, self._truth = batch.take(mine), np.searchsorted(classes, told[mine])

    def __call__(self, encoder: Any) -> float:
        scores = self._head(np.asarray(encoder.embed(self._batch), np.float64))
        return float((scores.argmax(1) == self._truth).mean())


def probe_of(x: NDArray[np.float64], truth: NDArray[np.intp]) -> Scorer:
    """Logistic regression on features as they are; their scale does not matter."""
    centre, size = x.mean(0), max(float(x.std(0).mean()), 1e-9)
    found = logistic((x - centre) / size, truth, 1.0 / len(centre) ** 0.5)
    weight = found.weight / size
    return Scorer(weight, found.bias - weight @ centre)


def kept(before: NDArray, after: NDArray) -> float:
    """Share of each example's nearest ones that are the same."""
    return agreement(unit(before - before.mean(0)), unit(after - after.mean(0)))


def _pretext(run: Run) -> Any:
    """Views that fine-tuning sees examples through: those that were found to be safe."""
    from stepwell import recording

    pretext = recording.pretext_of(run.config)
    return pretext if hasattr(pretext, "changed") and run.recipe else None


def _without_labels(run: Run, labelled: set[str], seed: int) -> tuple[Batch, Batch]:
    """Examples it learned from: some to ask what is kept, others to keep it by."""
    ids = [str(i) for i in run.index[0]]
    free = [name for name in ids if name not in labelled]
    free = free if len(free) >= FEWEST_FREE else ids
    order = np.random.default_rng(seed).permutation(len(free))
    cut = min(PROBED, len(free) // 3)
    asked = {free[i] for i in order[:cut]}
    others = {free[i] for i in order[cut : cut + OTHERS]}
    parts: list[list[Batch]] = [[], []]
    for batch in run.own_source().batches(run.chunk, ids=asked | others):
        mine = np.array([str(i) in asked for i in batch.ids])
        for side, rows in ((0, mine), (1, ~mine)):
            if rows.any():
                parts[side].append(batch.take(np.flatnonzero(rows)))
    if not all(parts):
        raise UsageError(
            f"Expected the data that {run.path} was learned from, found none of it at "
            f"{run.config['source'].get('path') or 'its place (it was an array)'}."
        )
    return concatenate(parts[0]), concatenate(parts[1])
