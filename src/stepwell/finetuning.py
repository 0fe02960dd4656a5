"""Fine-tuning on few labels: a head on a run's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import (
    PROPAGATED,
    Chosen,
    Head,
    LabelSums,
    Scorer,
    Terms,
    Witnesses,
    covered,
    discriminants,
    mixed_otherwise,
    rule_of,
    suspects,
)
from stepwell.adapt.tuning import Tuning
from stepwell.features import (
    EMBEDDING,
    features_of,
    terms_of,
    texts_of,
)
from stepwell.fitting import fitted_head, unlabelled
from stepwell.heads import Kept, keep, labels_before, part_of, told_rows
from stepwell.interfaces import Batch, Observer, Row, UsageError, ignore
from stepwell.kit.files import lock, lock_of
from stepwell.kit.hashing import hash_text, keys
from stepwell.kit.trust import trust
from stepwell.labels import labelled_batch
from stepwell.run import Run
from stepwell.tuning import held_back, tune

_WITNESS = 0x517
SHRUNK = 0.9
"""Share of the covariance within classes that is made round, where classes are added."""


def finetune(
    run: Run,
    labels: Any,
    *,
    seed: int = 0,
    add: bool = False,
    engine: str | None = None,
    retain: float = 0.5,
    old: Any = None,
    rule: str | None = None,
    observe: Observer = ignore,
    **options: Any,
) -> dict[str, Any]:
    """Learn to tell labels, from as few as there are; the run keeps the head.

    Parameters
    ----------
    labels : path, array, Source or mapping
        As for :meth:`Run.evaluate`.
    seed : int
    add : bool
        Add them to what the run was fine-tuned on before, whose examples are not needed: in closed
        form, the same as from all labels at once. New classes are learned, none is forgotten.
    engine : {"spectral", "gradient"}, optional
        A head in closed form on features that stay; or the run's network is trained on too, a
        copy of it: what it embeds stays the same.
    retain : float
        With the gradient engine: from 0, only what is new counts, to 1, only what it knew.
    old : optional
        Labels of an old task, as ``labels``: how well a head for it still works is told.
    rule : str, optional
        How the head is learned: ``"logistic"``, ``"kernel"``, ``"ridge"``, ``"discriminant"``,
        that of a plug-in, or your own as ``"package.module:function"``. Default: what suits so
        many labels.
    observe : callable
    options
        Of the gradient engine: ``steps``, ``batch``, ``rate``, ``lora`` …; see
        :class:`~.adapt.tuning.Tuning`.

    Returns
    -------
    dict
        ``classes``, ``labelled`` examples, ``left_out`` (what was not used, and why), how many
        labels of before are ``replaced``, how many are of no example or of several (``unmatched``),
        ``tried`` heads, ``suspects``: labels that are probably wrong; ``covered``: how often sets
        held the right label, by class; ``mixed_otherwise``: the class that labels have most too
        few or too many of. With the gradient engine
        ``curve``, see :class:`~.tuning.Tuned`, and ``closed_form``, the share of the same held-out
        labels that a head without training the network tells.

    Raises
    ------
    UsageError
        If there are fewer than two classes.
    """
    _check(engine, add, old, options)
    if rule is not None:
        if add or engine == "gradient":
            raise UsageError("Expected a rule without --add and --engine gradient, found both.")
        trust(rule)
        if rule != PROPAGATED:
            rule_of(rule)
    batch, told, left = labelled_batch(run, labels)
    facts = {
        "labelled": len(batch),
        "unmatched": left.unmatched,
        "left_out": left.lines(),
        "read": left.how,
    }
    if add:
        more = _added(run, batch, told)
        return facts | more | {"left_out": left.lines() + more["left_out"]}
    facts["replaced"] = len(labels_before(run))
    if engine == "gradient":
        asked = None
        if old is not None:
            examples, theirs, less = labelled_batch(run, old)
            asked = examples, theirs
            facts["left_out"] = [*left.lines(), *(f"old task: {line}" for line in less.lines())]
        found = tune(
            run, batch, told, retain=retain, old=asked, seed=seed, observe=observe, **options
        )
        kept = Kept(found.head, told_rows(batch, told), adapted=found.encoder, curve=found.curve)
        with lock(lock_of(run.path), str(run.path)):
            keep(run, kept)  # before anything else: it took minutes
        facts |= {"classes": list(found.head.classes), "curve": found.curve}
        return facts | {"closed_form": _closed_form(run, batch, told, seed)}
    try:
        chosen, features, terms, pool = _chosen(run, batch, told, seed, rule)
    except UsageError as error:
        raise UsageError(" ".join([str(error), *left.lines()])) from None
    sums = LabelSums.of(features[EMBEDDING], told)
    witnesses = _witnesses(features[EMBEDDING], batch, told)
    with lock(lock_of(run.path), str(run.path)):
        keep(run, Kept(chosen.head, told_rows(batch, told), sums, witnesses, terms))
    return facts | _facts(chosen, batch) | _promises(chosen, pool)


def _check(engine: str | None, add: bool, old: Any, options: Mapping[str, Any]) -> None:
    """Raise for what does not go together."""
    if engine not in (None, "spectral", "gradient"):
        raise UsageError(f"Expected the engine spectral or gradient, found {engine!r}.")
    known = {each.name for each in fields(Tuning)} - {"seed", "keep"}
    for name in options:
        if name not in known:
            raise UsageError(
                f"Expected a setting of fine-tuning ({', '.join(sorted(known))}), found {name!r}."
            )
    if engine != "gradient" and (old is not None or any(v is not None for v in options.values())):
        raise UsageError("Expected --engine gradient with settings of it, found it left out.")
    if engine == "gradient" and add:
        raise UsageError("Expected --add without --engine gradient: it is a closed form.")


def _chosen(
    run: Run, batch: Batch, told: Sequence[str], seed: int, rule: str | None = None
) -> tuple[Chosen, dict[str, Any], Terms | None, NDArray[np.float32]]:
    """The head, what it may read, the terms of texts, and examples without a label."""
    terms = terms_of(run, texts_of(batch)) if "text" in batch.data else None
    features = features_of(run, batch, terms)
    pool = unlabelled(run, set(map(str, batch.ids)))
    chosen = fitted_head(features, told, [str(group) for group in batch.group], pool, seed, rule)
    return chosen, features, terms, pool


def _closed_form(run: Run, batch: Batch, told: Sequence[str], seed: int) -> float:
    """Share of the labels held back from fine-tuning that a head in closed form tells."""
    held = held_back(batch, seed)
    known, asked = np.flatnonzero(~held), np.flatnonzero(held)
    labels = np.asarray(told, dtype=str)
    chosen, _, terms, _ = _chosen(run, batch.take(known), labels[known].tolist(), seed)
    said = chosen.head(features_of(run, batch.take(asked), terms)).argmax(1)
    return float((np.array(chosen.head.classes)[said] == labels[asked]).mean())


def _facts(chosen: Chosen, batch: Batch) -> dict[str, Any]:
    names, found = chosen.head.classes, []
    if chosen.shares is not None and chosen.judged is not None:
        ids = [str(batch.ids[i]) for i in chosen.judged]
        found = suspects(chosen.shares, chosen.truth[chosen.judged], names, ids)
    fewest = {name: int((chosen.truth == c).sum()) for c, name in enumerate(names)}
    return {
        "classes": list(names),
        "fewest": min(fewest.items(), key=lambda each: each[1]),
        "tried": chosen.rows,
        "suspects": found,
    }


def _added(run: Run, batch: Batch, told: Sequence[str]) -> dict[str, Any]:
    """More labels to a head in closed form."""
    x, rows = features_of(run, batch, None)[EMBEDDING], told_rows(batch, told)
    with lock(lock_of(run.path), str(run.path)):  # of what another one may add meanwhile
        before: LabelSums | None = part_of(run, LabelSums.name)
        if before is None:
            raise UsageError(
                f"Expected a run that was fine-tuned in closed form, to add labels to, found "
                f"{run.path} without: leave --add out the first time, and --engine."
            )
        known = labels_before(run)
        new, left = _new(rows, known)
        x, told = x[new], [told[i] for i in new]
        sums, added = before + LabelSums.of(x, told), _witnesses(x, batch.take(new), told)
        older: Witnesses | None = part_of(run, Witnesses.name)
        witnesses = added if older is None else older + added
        heat, held = witnesses.judged(sums, SHRUNK)
        scorer = Scorer(*discriminants(sums, SHRUNK))
        head = Head((EMBEDDING,), "discriminant", sums.classes, scorer, heat, held)
        kept = Kept(head, [*known, *(rows[i] for i in new)], sums, witnesses)
        if older is None:  # of a run of before: those of the new labels alone promise nothing
            kept = replace(kept, head=replace(head, held=None), witnesses=None)
        keep(run, kept)
    return {
        "left_out": left,
        "classes": list(head.classes),
        "new": sorted(set(head.classes) - set(before.classes)),
        "all_labelled": int(sums.counts.sum()),
    }


def _promises(chosen: Chosen, pool: NDArray[np.float32]) -> dict[str, Any]:
    """How far they reach: class by class, and whether what it learned from is mixed otherwise."""
    head, mix = chosen.head, None
    if head.reads == (EMBEDDING,):
        mix = mixed_otherwise(head.held, head({EMBEDDING: pool}), head.classes)
    return {"covered": covered(head.held, head.classes), "mixed_otherwise": mix}


def _new(rows: Sequence[Row], known: Sequence[Row]) -> tuple[NDArray[np.intp], list[str]]:
    """Which examples are not in the sums already, under whatever name; what is said of the others.

    Raises
    ------
    UsageError
        If none is new, or one was labelled otherwise.
    """
    before = {row["digest"]: row for row in known}
    again = [row for row in rows if row["digest"] in before]
    for row in again:
        old = before[row["digest"]]
        if row["label"] != old["label"]:
            raise UsageError(
                f"Expected the label {old['label']!r} for {row['file']!r}, which it was fine-tuned "
                f"on as {old['file']!r}, found {row['label']!r}: give all labels without --add."
            )
    new = np.array([i for i, row in enumerate(rows) if row["digest"] not in before], np.intp)
    if not again:
        return new, []
    count, first = f"{len(again):,}", again[0]["file"]
    if not len(new):
        raise UsageError(
            f"Expected labels of examples that are new to this head, found {count} that it "
            f"was fine-tuned on already, such as {first!r}: give others."
        )
    return new, [f"{count} it was fine-tuned on already, such as {first}: left out"]


def _witnesses(x: NDArray, batch: Batch, told: Sequence[str]) -> Witnesses:
    groups = hash_text(0, map(str, batch.group))
    return Witnesses(x, told, keys(batch.digest, _WITNESS), groups)
