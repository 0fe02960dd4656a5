"""Where the rooms meet: the story of a run, in named steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stepwell import (
    gathering,
    generating,
    networks,
    online,
    recording,
    retrieval,
    sharing,
    stepping,
    translating,
)
from stepwell.encoders.transformer.saved import placed
from stepwell.interfaces import Batch, Observer, Source, UsageError, ignore
from stepwell.kit.files import held, lock, lock_of
from stepwell.kit.folders import new_folder
from stepwell.kit.plugins import OWN, add
from stepwell.kit.ranks import rank
from stepwell.kit.stopwatch import Stopwatch
from stepwell.kit.trust import trust
from stepwell.labels import check_labels, labels_of
from stepwell.passes import chunk_of, every_example, the_pass
from stepwell.preparing import Learned, prepare, teaching, untrained
from stepwell.pretexts.tokens import Parallel
from stepwell.resuming import LOG, Keeper, asked_again, asking, beside, clear
from stepwell.run import Run
from stepwell.settings import Settings, check, check_kind
from stepwell.sources import open_source
from stepwell.wishing import wished

WAIT_S = 0.2
"""Between two looks at whether the first rank has written the run."""


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
    engine: str | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    train: Mapping[str, Any] | None = None,
    overwrite: bool | str = False,
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
    preset : {"default", "fast", "large"}
        Size of the encoder.
    pretext, encoder : str or object, optional
        By name, your own as ``"package.module:Class"``, or an object; default: the first that
        suits the kind of data.
    views : str, optional
        Views to pair with, e.g. ``"flip zoom jitter"``, and no other: without ``flip``, left
        is told from right. Default: chosen without labels.
    evaluate_with, test : optional
        Labelled data for scores; labels never touch learning. See :meth:`Run.evaluate`.
    seed : int
    founders_from : Run or path, optional
        Take everything below the moments from a sibling, so that both can be added up.
    recalibrate : bool
        Choose views, ridge and dimensions on founders, without labels. False: the defaults.
    budget : float, optional
        Seconds. Learns from as many examples as fit, drawn by hash; the gradient engine, as
        many samples of all of them.
    engine : {"spectral", "gradient"}, optional
        A closed form on frozen features; or features trained by gradient descent first. Default:
        the closed form, but where a pretext asks for a network.
    backbone : str, optional
        Of a network: a model of timm, or ``"package.module:function"``; for texts a folder
        that transformers or sentence-transformers has saved. With the spectral engine it stays
        frozen.
    weights : path or "hub", optional
        Of the backbone, a .safetensors file; "hub" downloads what timm names. On texts a run
        whose transformer is gone on with.
    train : mapping, optional
        Of the gradient engine: ``objective``, ``samples``, ``batch``, ``optimizer``, ``rate``,
        ``decay``, ``warmup``, ``clip``, ``accumulate``, ``precision``, ``compiled``,
        ``device``, ``shuffled`` (False: no control on shuffled pairs, half the time).
    overwrite : bool or "all"
        Replace a run that is there already; "all": one that was fine-tuned, too, with the labels
        that are kept in it.
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
    training = _own(train or {}, encoder, pretext, views, backbone)
    settings = check(
        Settings(
            preset=preset,
            pretext=pretext,
            encoder=encoder,
            views=views,
            seed=seed,
            founders_from=founders_from,
            recalibrate=recalibrate,
            budget=budget,
            engine=engine,
            backbone=None if backbone is None else placed(str(backbone)),
            weights=None if weights is None else _placed(weights),
            training=training,
        )
    )
    source = _open(src, settings, strict)
    settings = check_kind(settings, source.kind, "target" in source.options)
    if test is not None and evaluate_with is None:
        raise UsageError("Expected labels to score with, found only a test set: give both.")
    # The first rank makes the run: only there must its place be free.
    target = (
        gathering.named_target(out, source)
        if rank()
        else gathering.target_of(out, source, overwrite)
    )
    return _learned(
        source, target, settings, After(evaluate_with, test, report), observe, bool(overwrite)
    )


def _own(
    train: Mapping[str, Any], encoder: Any, pretext: Any, views: Any, backbone: Any
) -> dict[str, Any]:
    """Settings of training, once all code that the user names in this call may be found."""
    found = dict(train)
    words = [backbone, encoder, pretext, found.get("objective"), *str(views or "").split()]
    for word in words:
        if isinstance(word, str) and OWN.fullmatch(word):
            trust(word)
    for room, made in (("encoders", encoder), ("pretexts", pretext)):
        if made is not None and not isinstance(made, str):
            add(room, type(made), made.name)
    if isinstance(found.get("objective"), type):
        found["objective"] = add("objectives", found["objective"]).name
    return found


def _placed(weights: Any) -> str:
    """Where weights are, wherever a training is gone on with."""
    return str(weights) if str(weights) == "hub" else str(Path(weights).absolute())


def resume(
    path: Any, src: Any = None, *, backbone: str | None = None, observe: Observer = ignore
) -> Run:
    """Go on with a training that was stopped, bit for bit as if it had not been.

    Parameters
    ----------
    path : path
        Where its run will be.
    src : optional
        The data, where it is not at its old place (or was an array), or where another user or
        another machine began the training.
    backbone : str, optional
        Named again, where it is code of one's own: a file alone runs none.

    Raises
    ------
    UsageError
        If no training was stopped there.
    StepwellError
        If the data is not what it was.
    """
    target = Path(path).absolute()
    asked = asked_again(target, src, backbone)
    where = asked["source"]["path"] if src is None else src
    settings = check(Settings(**asked["settings"]))
    source = open_source(where, **asked["source"]["options"])
    after, overwrite = After(**asked["after"]), bool(asked["overwrite"])
    return _learned(source, target, settings, after, observe, overwrite, resumed=True)


@dataclass(frozen=True)
class After:
    """What is done once a run is whole."""

    evaluate_with: Any = None
    test: Any = None
    report: bool = True


def _learned(
    source: Source,
    target: Path,
    settings: Settings,
    after: After,
    observe: Observer,
    overwrite: bool,
    resumed: bool = False,
) -> Run:
    watch, seed = Stopwatch(), settings.seed
    if rank():
        return _helped(source, target, settings, resumed)
    with (
        lock(lock_of(target), str(target)),
        new_folder(target, overwrite=overwrite) as folder,
        recording.Recorder(_log(folder, target, resumed), observe) as tell,
    ):
        entries = gathering.census(source, tell)
        # Before an hour of learning, not after.
        check_labels(after.evaluate_with, source, entries, classes=2)
        check_labels(after.test, source, entries)
        founders = gathering.founders_of(source, entries, seed, tell)
        ids = {name for name, _ in entries}
        chunk = chunk_of(founders)
        train = None
        if settings.trains:
            everything = asking(source, settings, after) | {"overwrite": overwrite}
            keeper = Keeper(target, everything, folder, resumed, tell)
            every = every_example(source, founders, entries, settings, chunk)
            labelled = online.few(*labels_of(after.evaluate_with, source, entries), seed)
            train = _trainer(every, settings, folder, keeper, watch, tell, labelled)
        learned = prepare(source, founders, settings, tell, train)
        if settings.budget is not None and not settings.trains:
            ids = gathering.within(settings.budget, watch, learned, source, entries, founders, seed)
            settings.share = len(ids) / len(entries)
        learned.suit(len(ids))
        tell("learn", {"done": 0, "of": len(ids)})
        # A sibling's founders shaped this run, none of its own examples.
        mine = set(map(str, founders.ids)) if settings.founders_from is None else set()
        with closing(sharing.Offer(target, learned, source, settings.seed, mine)) as offer:
            own = set(offer.make(gathering.shareable(entries, ids, source.kind), chunk)) or ids
            batches = gathering.one_pass(source, founders, entries, own, chunk)
            sample = the_pass(batches, len(own), mine, learned, folder, offer, tell)
        tell("solve", {})
        learned.solution = learned.engine.solve(tell)
        if learned.twin is not None:
            learned.control_by_twin(founders, seed)
        recording.write_parts(folder, learned)
        recording.write_index(folder, learned, tell)
        facts = {"skipped": [vars(s) for s in source.skipped], "chunk": chunk}
        recording.write_config(folder, learned, source, settings, facts, watch.facts())
        _score(folder, learned, sample, seed, tell)
        if source.kind == "text":
            some = ids if len(ids) < len(entries) else None
            out = generating.held_out(entries, seed)
            found = generating.write_counts(folder, source, some, out, learned.encoder)
            recording.write_said(folder, found)
            if "target" in source.options:
                translating.write_pairs(folder, source, some)
        if learned.training.get("pretext") == Parallel.name:
            out = translating.held_out(entries, seed)
            found = translating.judged(source, out, learned.encoder, learned.twin)
            recording.write_said(folder, found)
        recording.write_card(Run(folder))  # once all is told that it quotes
        recording.write_cost(Run(folder), watch.facts())
    # The run is whole from here on: whatever happens to scores and page, it stays.
    clear(target)
    run = Run(target)
    run.data = source
    try:
        if after.evaluate_with is not None:
            observe("evaluate", {})
            run.evaluate(after.evaluate_with, after.test, seed=seed)
    except UsageError:  # of labels: the page does without
        _report(run, after, observe)
        raise
    _report(run, after, observe)
    return run


def _report(run: Run, after: After, observe: Observer) -> None:
    if after.report:
        observe("report", {})
        run.report()


def _score(folder: Path, learned: Learned, sample: Batch, seed: int, tell: Observer) -> None:
    """Scores without labels, and both orders of the staircase, into a draft."""
    draft = Run(folder)
    tell("score", {})
    probe = retrieval.probe(learned, sample, seed + 1)
    scores = retrieval.without_labels(draft, learned, probe, seed=seed)
    stepping.log_orders(learned, probe, tell)
    recording.write_scores(folder, scores)


def _trainer(
    every: Callable[[], Iterable[Batch]],
    settings: Settings,
    folder: Path,
    keeper: Keeper,
    watch: Stopwatch,
    tell: Observer,
    labelled: Any = None,
) -> Callable[..., Any]:
    """What trains an encoder with a pretext on ``every`` example."""
    wish = replace(wished(settings.training, settings.budget, watch), labelled=labelled)
    return partial(networks.train_encoder, every, wish, settings.seed, folder, keeper, tell)


def _helped(source: Source, target: Path, settings: Settings, resumed: bool) -> Run:
    """What every rank but the first does: train along, and wait for the run."""
    if settings.trains:
        with TemporaryDirectory() as name:
            folder, watch = Path(name), Stopwatch()
            entries = gathering.census(source, ignore)
            founders = gathering.founders_of(source, entries, settings.seed, ignore)
            every = every_example(source, founders, entries, settings, chunk_of(founders))
            keeper = Keeper(target, {}, folder, resumed, ignore)
            found = untrained(source, founders, settings, ignore)
            train = _trainer(every, settings, folder, keeper, watch, ignore)
            train(found.encoder, teaching(source, settings, found.pretext), found.pretext)
    sharing.help_with(target, source)
    while held(lock_of(target)):
        time.sleep(WAIT_S)
    return Run(target)


def _log(folder: Path, target: Path, resumed: bool) -> Path:
    """Where events go; after those of the training that was stopped, where one goes on."""
    log, before = folder / LOG, beside(target) / LOG
    if resumed and before.is_file():
        log.write_bytes(before.read_bytes())
    return log


def _open(src: Any, settings: Settings, strict: bool) -> Source:
    """The source; read as the sibling's was, where there is one."""
    if settings.founders_from is not None:
        source: Source = settings.founders_from.open(src, strict=strict)
        return source
    return open_source(src, strict=strict)
