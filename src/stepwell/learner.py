"""Where the rooms meet: the story of a run, in named steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell import recording, scoring
from stepwell.encoders import ENCODERS
from stepwell.engines import (
    Choice,
    DenseMoments,
    Encoded,
    Quantiser,
    SpectralMap,
    accumulate,
    shuffle_units,
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
    concatenate,
    ignore,
)
from stepwell.kit.files import lock, new_folder
from stepwell.kit.hashing import hash_text
from stepwell.kit.plugins import for_kind
from stepwell.kit.stopwatch import Stopwatch, waiting
from stepwell.pretexts import PRETEXTS
from stepwell.recalibrate import Calibration, calibrate
from stepwell.run import Run, batch_size
from stepwell.sources import open_source

FOUNDERS = 2000
"""Examples that everything below the last moments is fitted on: this many, or 5 %, at
most 6,000."""
FEWEST = 8
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
        raise UsageError(f"Expected preset 'default' or 'fast', found {preset!r}.")
    settings = Settings(preset, pretext, encoder, views, seed, founders_from, recalibrate)
    source = open_source(src, strict=strict)
    target = _target(out, source, overwrite)
    watch = Stopwatch()
    with (
        lock(target.with_name(f".{target.name}.lock"), str(target)),
        new_folder(target, overwrite=overwrite) as folder,
        recording.Recorder(folder / "steps.jsonl", observe) as tell,
    ):
        entries = _census(source, tell)
        founders = _founders(source, entries, seed, tell)
        learned = _prepare(source, founders, settings, tell)
        ids = _within(budget, entries, learned, founders, watch, settings)
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


def _target(out: Any, source: Source, overwrite: bool) -> Path:
    """Where the run goes; refused early if something is there."""
    target = Path(out) if out else Path("runs") / getattr(source, "name", source.kind)
    target = target.absolute()
    if not target.exists():
        return target
    if not (target / "config.toml").is_file():
        raise UsageError(
            f"Expected a free name for the run, found something else at {target}: "
            f"choose another --out."
        )
    if not overwrite:
        raise UsageError(
            f"Expected a free name for the run, found one at {target}: "
            f"add --overwrite to replace it, or choose another --out."
        )
    return target


def _census(source: Source, tell: Observer) -> list[tuple[str, str]]:
    """(id, group) of every example, without decoding any."""
    entries = []
    for entry in source.entries():
        entries.append(entry)
        if len(entries) % 20_000 == 0:
            tell("list", {"found": len(entries)})
    tell("list", {"found": len(entries)})
    if len(entries) < FEWEST:
        raise StepwellError(
            f"Expected at least {FEWEST} examples to learn from, found {len(entries)}: "
            f"pairs within so few show nothing; add more data."
        )
    return entries


def _founders(source: Source, entries: list, seed: int, tell: Observer) -> Batch:
    """Founders: whole groups in the order of their hash, as one batch."""
    wanted = max(FOUNDERS, min(6000, len(entries) // 20))
    rank = hash_text(seed, (group for _, group in entries))
    chosen = {entries[i][0] for i in np.argsort(rank, kind="stable")[:wanted]}
    ids = None if len(chosen) == len(entries) else chosen
    parts = []
    for batch in source.batches(64, ids=ids):
        parts.append(batch)
        tell("found", {"done": sum(map(len, parts)), "of": len(chosen)})
    if sum(map(len, parts)) < FEWEST:
        why = "; ".join(sorted({s.reason for s in source.skipped})[:3])
        raise StepwellError(
            f"Expected at least {FEWEST} readable examples, found {sum(map(len, parts))} "
            f"({len(source.skipped)} could not be read: {why}). Mend or remove these."
        )
    return concatenate(parts)


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
    found = recording.by_name(room, builtin, wanted) if wanted else for_kind(room, builtin, kind)
    if found is None:
        raise UsageError(
            f"Expected {room} for data of kind {kind!r}, found none: install a plug-in, or "
            f"pass your own."
        )
    own = room == "pretexts" or found in builtin.values()
    return found(option) if option is not None and own and found in builtin.values() else found()


def _within(
    budget: float | None,
    entries: list,
    learned: Learned,
    founders: Batch,
    watch: Stopwatch,
    settings: Settings,
) -> set[str] | None:
    """Ids that fit the budget, drawn by hash; None: all."""
    if budget is None:
        return None
    some = founders.take(slice(0, 64))
    start = time.perf_counter()
    learned.quantiser(learned.encoder.embed(some))
    each = 2.5 * (time.perf_counter() - start) / len(some)
    settings.share = min(1.0, max(0.0, budget * 0.9 - watch.wall()) / (each * len(entries)))
    if settings.share >= 1:
        return None
    rank = hash_text(settings.seed + 1, (group for _, group in entries))
    keep = rank < np.uint64(settings.share * 2**64)
    kept = {entries[i][0] for i in np.flatnonzero(keep)}
    return kept | set(map(str, founders.ids[:FOUNDERS]))


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
    kept, controls = scoring.Sample(settings.seed, mine), _Controls(mine, learned.moments.width)
    reader = waiting(source.batches(_chunk(founders), ids=ids))
    done = 0
    passes = accumulate(
        reader, learned.pretext, learned.encoder, learned.quantiser, learned.moments, settings.seed
    )
    with recording.Examples(folder, settings.seed, mine) as examples:
        for encoded in passes:
            examples.add(encoded.batch, encoded.codes)
            kept.offer(encoded.batch)
            controls.offer(encoded)
            done += len(encoded.batch)
            tell("learn", {"done": done, "of": of, "wait": reader.share})
    learned.controls["shuffled"] = controls.shuffled(learned)
    learned.noise = controls.noise(learned)
    return kept.batch()


def _chunk(founders: Batch) -> int:
    size = sum(np.asarray(v[:1]).nbytes for v in founders.data.values())
    return batch_size(size)


class _Controls:
    """Codes of founders' pairs, for the control whose partners are shuffled.

    Founders, because a hash drew them: neighbours in a source may be of one class, and
    pairs shuffled among those would be pairs after all.
    """

    def __init__(self, founders: set[str], width: int) -> None:
        self._founders, self._width = founders, width
        self._codes: list[Any] = []
        self._units: list[NDArray[np.intp]] = []
        self._count = 0

    def offer(self, encoded: Encoded) -> None:
        """Keep the pairs of the founders in a batch."""
        if len(encoded.unit) == 0 or self._count >= FOUNDERS:
            return
        known = np.array([str(i) in self._founders for i in encoded.batch.ids])
        size = int(encoded.unit.max()) + 1
        if size != len(known):
            known = np.ones(size, bool)
        rows = np.flatnonzero(known[encoded.unit])
        if len(rows):
            _, unit = np.unique(encoded.unit[rows], return_inverse=True)
            self._codes.append(np.asarray(encoded.paired[rows]))
            self._units.append(unit + self._count)
            self._count += int(unit.max()) + 1

    def shuffled(self, learned: Learned) -> SpectralMap:
        """The map that shuffled pairs give."""
        moments = DenseMoments(self._width)
        # In random order first: a shift among neighbours in a folder pairs like with like.
        turn = np.random.default_rng(0).permutation(self._count)
        unit = shuffle_units(turn[np.concatenate(self._units)])
        moments.add(np.concatenate(self._codes), unit)
        law = moments.law()
        modes = solve(law, learned.choice)
        self._top = float(modes.values[0]) if len(modes.values) else 0.0
        self._law_units = law.units
        return SpectralMap.build(learned.quantiser, modes, learned.choice)

    def noise(self, learned: Learned) -> float:
        """Largest eigenvalue of shuffled pairs, scaled to as many units as were learned."""
        return self._top * float(np.sqrt(self._law_units / max(learned.moments.units, 1)))


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
