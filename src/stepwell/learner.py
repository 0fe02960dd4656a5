"""Where the rooms meet: the story of a run, in named steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stepwell import gathering, recording, scoring
from stepwell.interfaces import Batch, Observer, Source, UsageError, ignore
from stepwell.kit.files import lock, new_folder
from stepwell.kit.names import nearest
from stepwell.kit.stopwatch import Stopwatch, waiting
from stepwell.preparing import DIMENSIONS, Learned, Settings, prepare
from stepwell.run import Run, batch_size
from stepwell.sources import open_source


def learn(
    src: Any,
    out: Any = None,
    *,
    preset: str = "default",
    pretext: Any = None,
    encoder: Any = None,
    views: Any = None,
    evaluate_with: Any = None,
    test: Any = None,
    seed: int = 0,
    founders_from: Any = None,
    recalibrate: bool = True,
    budget: float | None = None,
    overwrite: bool = False,
    strict: bool = False,
    report: bool = True,
    observe: Observer = ignore,
) -> Run:
    """Learn an encoder from unlabelled data, and write a run.

    Parameters
    ----------
    src : path, array or Source
        A folder of images, an archive, an array … see :func:`~stepwell.sources.open_source`.
    out : path, optional
        Directory of the run; default ``runs/NAME``.
    preset : {"default", "fast"}
        Size of the encoder.
    pretext, encoder : str or object, optional
        By name, or your own; default: the first that suits the kind of data.
    views : str, optional
        Views to pair with, e.g. ``"zoom jitter"``; default: chosen without labels.
    evaluate_with, test : optional
        Labelled data for scores; labels never touch learning. See :meth:`Run.evaluate`.
    seed : int
    founders_from : Run or path, optional
        Take everything below the moments from a sibling, so that both can be added up.
    recalibrate : bool
        Choose views on founders, without labels. False: the pretext's own defaults.
    budget : float, optional
        Seconds. Learns from as many examples as fit, drawn by hash.
    overwrite : bool
        Replace a run that is there already.
    strict : bool
        Stop at the first example that can't be read instead of setting it aside.
    report : bool
        Write ``report.html``.
    observe : callable
        Told what happens: ``observe(event, facts)``.

    Returns
    -------
    Run

    Raises
    ------
    UsageError, StepwellError
    """
    if preset not in DIMENSIONS:
        hint = nearest(preset, DIMENSIONS)
        raise UsageError(f"Expected preset 'default' or 'fast', found {preset!r}.{hint}")
    settings = Settings(preset, pretext, encoder, views, seed, founders_from, recalibrate)
    source = open_source(src, strict=strict)
    for labelled in (evaluate_with, test):
        if labelled is not None:
            scoring.check_labels(labelled)  # before an hour of learning, not after
    target = gathering.target_of(out, source, overwrite)
    watch = Stopwatch()
    with (
        lock(target.with_name(f".{target.name}.lock"), str(target)),
        new_folder(target, overwrite=overwrite) as folder,
        recording.Recorder(folder / "steps.jsonl", observe) as tell,
    ):
        entries = gathering.census(source, tell)
        founders = gathering.founders_of(source, entries, seed, tell)
        learned = prepare(source, founders, len(entries), settings, tell)
        ids = None
        if budget is not None:
            ids, settings.share = gathering.within(
                budget, watch, learned.encode, entries, founders, seed
            )
        sample = _pass(source, ids, founders, learned, folder, settings, tell)
        learned.solution = learned.engine.solve(tell)
        recording.write_parts(folder, learned)
        recording.write_index(folder, learned.solution.map, tell)
        facts = {"skipped": [vars(s) for s in source.skipped], "chunk": _chunk(founders)}
        recording.write_config(folder, learned, source, settings, facts, watch.facts())
        draft = Run(folder)
        scores = scoring.without_labels(draft, learned, sample, seed=seed)
        recording.write_scores(folder, scores)
        if evaluate_with is not None:
            draft.evaluate(evaluate_with, test, seed=seed)
        recording.write_card(draft)
        recording.write_cost(draft, watch.facts())
        if report:
            tell("report", {})
            draft.report(source)
    return Run(target)


def _pass(
    source: Source,
    ids: set[str] | None,
    founders: Batch,
    learned: Learned,
    folder: Path,
    settings: Settings,
    tell: Observer,
) -> Batch:
    """The one pass: the engine sees all pairs; codes go to disk, a sample is kept for scores."""
    of = len(ids) if ids is not None else None
    mine = set(map(str, founders.ids))
    kept, done = scoring.Sample(settings.seed, mine), 0
    reader = waiting(source.batches(_chunk(founders), ids=ids))
    passes = learned.engine.learn(reader, learned.pretext, learned.encoder, settings.seed)
    with recording.Examples(folder, settings.seed, mine) as examples:
        for batch, codes in passes:
            examples.add(batch, codes)
            kept.offer(batch)
            done += len(batch)
            tell("learn", {"done": done, "of": of, "wait": reader.share})
    return kept.batch()


def _chunk(founders: Batch) -> int:
    size = sum(np.asarray(v[:1]).nbytes for v in founders.data.values())
    return batch_size(size)
