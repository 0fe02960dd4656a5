"""Where the rooms meet: the story of a run, in named steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stepwell import gathering, recording, scoring
from stepwell.encoders import ENCODERS
from stepwell.engines import (
    Choice,
    DenseMoments,
    Quantiser,
    ShuffledPairs,
    SpectralMap,
    accumulate,
    solve,
    whitening,
)
from stepwell.interfaces import (
    Batch,
    Encoder,
    Observer,
    Pretext,
    Source,
    StepwellError,
    UsageError,
    ignore,
)
from stepwell.kit.files import lock, new_folder
from stepwell.kit.names import nearest
from stepwell.kit.plugins import for_kind
from stepwell.kit.stopwatch import Stopwatch, waiting
from stepwell.pretexts import PRETEXTS
from stepwell.recalibrate import Calibration, calibrate
from stepwell.run import Run, batch_size
from stepwell.sources import open_source

PAIRED = 16_000
"""Examples that get a partner, about, where the pretext can leave some without."""
DIMENSIONS = {"default": 1024, "fast": 512}


@dataclass
class Settings:
    """What a run can be told; see :func:`learn`."""

    preset: str = "default"
    pretext: Any = None
    encoder: Any = None
    views: Any = None
    seed: int = 0
    founders_from: Any = None
    recalibrate: bool = True
    share: float = 1.0


@dataclass
class Learned:
    """Everything a run is made of, before it is written down."""

    encoder: Encoder
    pretext: Pretext
    quantiser: Quantiser
    moments: DenseMoments
    choice: Choice
    calibration: Calibration
    map: SpectralMap = field(init=False)
    controls: dict[str, SpectralMap] = field(default_factory=dict)
    noise: float = 0.0

    def encode(self, batch: Batch) -> Any:
        """(n, d) int8 codes."""
        return self.quantiser(self.encoder.embed(batch))


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
        learned = _prepare(source, founders, settings, tell)
        if settings.founders_from is None and hasattr(learned.pretext, "share"):
            learned.pretext.share = min(1.0, PAIRED / len(entries))
        ids = None
        if budget is not None:
            ids, settings.share = gathering.within(
                budget, watch, learned.encode, entries, founders, seed
            )
        sample = _accumulate_all(source, ids, founders, learned, folder, settings, tell)
        _solve(learned, tell)
        recording.write_parts(folder, learned)
        recording.write_index(folder, learned.map, tell)
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


def _prepare(source: Source, founders: Batch, settings: Settings, tell: Observer) -> Learned:
    """Everything below the moments, from founders only or from a sibling run."""
    if settings.founders_from is not None:
        return _from_sibling(settings)
    encoder = _made("encoders", ENCODERS, settings.encoder, source.kind, settings.preset)
    encoder = encoder.fit(founders, seed=settings.seed, observe=tell)
    pretext = _made("pretexts", PRETEXTS, settings.pretext, source.kind, settings.views)
    calibration = Calibration(encoder, pretext)
    if settings.recalibrate and settings.views is None:
        calibration = calibrate(encoder, pretext, founders, seed=settings.seed, observe=tell)
    features = calibration.encoder.embed(founders)
    quantiser = Quantiser.fit(features)
    if not np.isfinite(quantiser.scale) or quantiser.scale < 1e-9:
        raise StepwellError(
            "Expected examples that differ, found all alike (or without any structure): "
            "there is nothing to learn from them."
        )
    choice = Choice(k=DIMENSIONS[settings.preset])
    moments = DenseMoments(features.shape[1])
    return Learned(
        calibration.encoder, calibration.pretext, quantiser, moments, choice, calibration
    )


def _from_sibling(settings: Settings) -> Learned:
    run = settings.founders_from
    run = run if isinstance(run, Run) else Run(run)
    pretext = recording.pretext_of(run.config)
    quantiser = run.map.quantiser
    calibration = Calibration(run.encoder, pretext, run.config.get("views", []))
    moments = DenseMoments(len(quantiser.mean))
    choice = run.map.choice
    return Learned(run.encoder, pretext, quantiser, moments, choice, calibration)


def _made(room: str, builtin: dict, wanted: Any, kind: str, option: Any) -> Any:
    """A pretext or encoder: the caller's own, by name, or the first for this kind."""
    if wanted is not None and not isinstance(wanted, str):
        return wanted
    found = (
        recording.by_name(room, builtin, wanted, kind) if wanted else for_kind(room, builtin, kind)
    )
    if found is None:
        raise UsageError(
            f"Expected {room} for data of kind {kind!r}, found none: install a plug-in, or "
            f"pass your own."
        )
    own = room == "pretexts" or found in builtin.values()
    return found(option) if option is not None and own and found in builtin.values() else found()


def _accumulate_all(
    source: Source,
    ids: set[str] | None,
    founders: Batch,
    learned: Learned,
    folder: Path,
    settings: Settings,
    tell: Observer,
) -> Batch:
    """The one pass: moments of all pairs; codes go to disk, a sample is kept for scores."""
    of = len(ids) if ids is not None else None
    mine = set(map(str, founders.ids))
    kept, control = scoring.Sample(settings.seed, mine), ShuffledPairs(mine, learned.moments.width)
    reader = waiting(source.batches(_chunk(founders), ids=ids))
    done = 0
    passes = accumulate(
        reader, learned.pretext, learned.encoder, learned.quantiser, learned.moments, settings.seed
    )
    with recording.Examples(folder, settings.seed, mine) as examples:
        for encoded in passes:
            examples.add(encoded.batch, encoded.codes)
            kept.offer(encoded.batch)
            control.offer(encoded)
            done += len(encoded.batch)
            tell("learn", {"done": done, "of": of, "wait": reader.share})
    learned.controls["shuffled"] = control.solve(learned.quantiser, learned.choice)
    learned.noise = control.noise(learned.moments.units)
    return kept.batch()


def _chunk(founders: Batch) -> int:
    size = sum(np.asarray(v[:1]).nbytes for v in founders.data.values())
    return batch_size(size)


def _solve(learned: Learned, tell: Observer) -> None:
    """The closed form, and the control that knows no pairs."""
    tell("solve", {"width": learned.moments.width, "units": learned.moments.units})
    law = learned.moments.law()
    modes = solve(law, learned.choice)
    if not len(modes.values):
        raise StepwellError(
            "Expected pairs that share something, found none: no direction is more alike "
            "within pairs than between them. Try other views, or look at the data."
        )
    learned.map = SpectralMap.build(learned.quantiser, modes, learned.choice)
    plain = Choice(learned.choice.k, learned.choice.rho, 0.0)
    learned.controls["whitening"] = SpectralMap.build(
        learned.quantiser, whitening(law, plain), plain
    )
