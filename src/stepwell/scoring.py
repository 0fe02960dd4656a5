"""Scores beside their controls, on one protocol: with labels, and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell import recording
from stepwell.adapt import LeftOut
from stepwell.encoders import NETWORKS
from stepwell.engines import units_of
from stepwell.evaluate.controls import Components, raw_features
from stepwell.evaluate.intervals import paired_difference, share
from stepwell.evaluate.neighbours import retrieved
from stepwell.evaluate.pretrained import Frozen
from stepwell.evaluate.probe import BUDGETS, few_labels, knn
from stepwell.evaluate.structure import spread
from stepwell.evaluate.verdict import labelled_verdict, unlabelled_verdict
from stepwell.interfaces import Batch, Encoder, StepwellError, UsageError, concatenate
from stepwell.kit.files import lock, lock_of
from stepwell.kit.hashing import fifth_of, keys
from stepwell.labels import is_table, label_source, named, none_read
from stepwell.pretexts import suited
from stepwell.run import Run
from stepwell.runfile import scores_of

OURS = "stepwell"
ROLES = {
    OURS: "ours",
    "whitening only": "ladder",
    "raw input": "control",
    "PCA of the input": "control",
    "random encoder": "control",
    "shuffled pairs": "control",
}
"""Who is compared. The whitening control has the same features and width, but no pairs."""
ALONE = "features alone"
"""The features of a network as they are: what the closed form adds to them."""
PRETRAINED = "frozen pretrained"
TWIN = "shuffled_encoder"
"""The part that holds a network trained on shuffled pairs."""
SAMPLE = 300
FEWEST = 2
"""Examples that labels are judged on, at least."""


class Sample:
    """A few examples drawn by hash for scores without labels; founders only if need be."""

    def __init__(self, seed: int, founders: set[str]) -> None:
        self._seed, self._founders = seed, founders
        self.kept: Batch | None = None

    def offer(self, batch: Batch) -> None:
        """Keep the lowest hashes seen so far."""
        joined = batch if self.kept is None else concatenate([self.kept, batch])
        rank = (keys(joined.digest, self._seed, 0x5C0) >> np.uint64(1)).astype(np.int64)
        founder = np.array([str(i) in self._founders for i in joined.ids])
        order = np.lexsort((rank, founder))[:SAMPLE]
        self.kept = joined.take(np.sort(order))

    def batch(self) -> Batch:
        """What was kept."""
        if self.kept is None:
            raise StepwellError("Expected examples to learn from, found none that could be read.")
        return self.kept


class Contestants:
    """The embedding of a run and its controls, as functions of a batch."""

    def __init__(self, run: Run, seed: int) -> None:
        self._encoder = run.encoder
        self._maps = {
            OURS: run.map,
            "whitening only": run.part("whitening"),
            "shuffled pairs": run.part("shuffled"),
        }
        self._random = random_encoder(run.encoder, seed)
        self._twin = run.part(TWIN) if run.has(TWIN) else None
        self._network = run.encoder.name in NETWORKS
        self.roles = ROLES | ({ALONE: "ladder"} if self._network else {})
        if run.config.get("train") and self._twin is None:  # no pairs but its own: no control
            self.roles.pop("shuffled pairs")
        self.width = run.map.width

    def __call__(self, batch: Batch) -> dict[str, NDArray]:
        """(n, ·) features by name; the PCA is added by :func:`with_components`."""
        return self.of(batch, self._encoder.embed(batch))

    def of(self, batch: Batch, features: Any) -> dict[str, NDArray]:
        """The same, where the encoder's features are there already."""
        found = {name: np.asarray(each(features)) for name, each in self._maps.items()}
        found["raw input"] = raw_features(batch)
        found["random encoder"] = np.asarray(self._random(batch, features), np.float32)
        if self._network:
            found[ALONE] = np.asarray(features, np.float32)
        if self._twin is not None:  # the map of shuffled pairs is of its features
            shuffled = self._maps["shuffled pairs"](self._twin.embed(batch))
            found["shuffled pairs"] = np.asarray(shuffled)
        return {name: rows for name, rows in found.items() if name in self.roles}


def random_encoder(encoder: Encoder, seed: int) -> Any:
    """The encoder with random weights; one without weights gets a random projection."""
    if hasattr(encoder, "randomised"):
        twin = encoder.randomised(seed + 101)
        return lambda batch, features: twin.embed(batch)
    rng = np.random.default_rng(seed + 101)
    turn = rng.standard_normal((encoder.width, min(encoder.width, 512))).astype(np.float32)
    return lambda batch, features: np.asarray(features) @ turn


def with_components(
    bank: dict[str, NDArray], queries: dict[str, NDArray], width: int
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Add principal components of the raw input, of the same width, fitted on the bank."""
    raw = bank["raw input"]
    step = max(1, len(raw) // 10_000)
    fitted = Components(raw[::step].astype(np.float32), width)
    name = "PCA of the input"
    return bank | {name: fitted(bank["raw input"])}, queries | {name: fitted(queries["raw input"])}


@dataclass(frozen=True, eq=False)
class Probe:
    """Freshly drawn pairs of a few examples, encoded once for all that looks at them.

    Attributes
    ----------
    originals, views : Batch
        Row by row, two of the same unit.
    features, partners : (n, d)
        Of ``originals`` and ``views``.
    """

    originals: Batch
    views: Batch
    features: Any
    partners: Any


def probe(learned: Any, sample: Batch, seed: int) -> Probe:
    """Per unit of freshly drawn pairs its first two rows.

    Of the first pairs only: with an example in the bank twice, neither would be found.
    """
    pretext = suited(learned.calibration.pretext, len(sample))  # all of so few have a partner
    pairs = next(iter(pretext.pairs(sample, seed)))
    order, start, _ = units_of(pairs.unit)
    views, originals = pairs.x.take(order[start + 1]), pairs.x.take(order[start])
    embed = learned.encoder.embed
    return Probe(originals, views, embed(originals), embed(views))


def without_labels(run: Run, learned: Any, probe: Probe, *, seed: int) -> dict[str, Any]:
    """How often a view finds the example it was made of, for all contestants."""
    contestants = Contestants(run, seed)
    bank, queries = with_components(
        contestants.of(probe.originals, probe.features),
        contestants.of(probe.views, probe.partners),
        contestants.width,
    )
    roles = contestants.roles
    hits = {name: retrieved(queries[name], bank[name]) for name in roles}
    rows = [
        {"name": name, "role": role, **share(int(hits[name].sum()), len(probe.views)).as_dict()}
        for name, role in roles.items()
    ]
    values = np.asarray(learned.solution.map.values)
    above = int((values > learned.solution.noise).sum())
    share_of_all = spread(probe.features)
    noisy = share_of_all > getattr(run.encoder, "noise_spread", 1.0)
    verdict = unlabelled_verdict(rows, hits, above, len(values), share_of_all if noisy else None)
    found = {"retrieval": rows, "modes_above_noise": above, "spread": round(share_of_all, 4)}
    return found | {"verdict": verdict}


def evaluate(
    run: Run, labels: Any, test: Any = None, *, seed: int = 0, pretrained: Any = None
) -> dict[str, Any]:
    """kNN and linear probe at 1, 5, 10, 50 and all labels a class, beside the controls.

    Parameters
    ----------
    labels : path, array, Source or mapping
        Labelled examples: a source whose folders (or label column) name the classes, a
        CSV of ``file,label`` for files of the run's source, or {id: label}.
    test : same, optional
        The test set. None: a fifth of the labelled groups, by hash.
    pretrained : path, optional
        ONNX file of a pretrained network: a fifth control.

    Returns
    -------
    dict
        Also merged into ``scores.json``.
    """
    contestants = Contestants(run, seed)
    frozen = Frozen(pretrained) if pretrained is not None else None
    roles = contestants.roles | ({PRETRAINED: "control"} if frozen is not None else {})
    bank, bank_labels, groups, left = _labelled(run, labels, contestants, frozen)
    more = LeftOut()
    if test is None:
        held = fifth_of(seed, groups)
        queries = {name: rows[held] for name, rows in bank.items()}
        truth, known = bank_labels[held], bank_labels[~held]
        bank = {name: rows[~held] for name, rows in bank.items()}
    else:
        queries, truth, _, more = _labelled(run, test, contestants, frozen)
        known = bank_labels
    classes, known_rows = np.unique(known, return_inverse=True)
    if len(classes) < 2 or len(truth) == 0:
        why = " ".join(left.lines())
        raise UsageError(
            f"Expected at least two classes and a test set, found {len(classes)} of them and "
            f"{len(truth)} examples to test on in {named(labels)}. {why}".rstrip()
        )
    place = {label: i for i, label in enumerate(classes)}
    target = np.array([place.get(label, -1) for label in truth])
    if len(truth) < FEWEST or not (target >= 0).any():
        raise UsageError(
            f"Expected at least {FEWEST} examples to test on, of classes that others have too; "
            f"found {len(truth)}, and {len(classes)} classes among {len(known)} others: label "
            f"more, or give a test set."
        )
    bank, queries = with_components(bank, queries, run.map.width)
    scores = _table(roles, bank, known_rows, queries, target, seed)
    hits = {name: knn(bank[name], known_rows, queries[name]) == target for name in roles}
    gaps = {
        name: paired_difference(hits[OURS], hits[name]).as_dict() for name in roles if name != OURS
    }
    result = {
        "labelled": scores,
        "ours_minus": gaps,
        "classes": len(classes),
        "bank": len(known),
        "test": len(truth),
        "unmatched": left.unmatched,
        "left_out": [*left.lines(), *(f"test set: {line}" for line in more.lines())],
        "read": left.how,
        "verdict": labelled_verdict(scores, gaps),
        **({"pretrained": frozen.how} if frozen is not None else {}),
    }
    with lock(lock_of(run.path), str(run.path)):
        recording.write_scores(run.path, result)
        recording.write_card(run)  # it quotes the verdict
    return result


def _table(
    roles: Mapping[str, str],
    bank: dict[str, NDArray],
    labels: NDArray[np.intp],
    queries: dict[str, NDArray],
    truth: NDArray[np.intp],
    seed: int,
) -> list[dict[str, Any]]:
    """One row a contestant, reader and number of labels."""
    largest = int(np.bincount(labels).max())
    rows = []
    for name, role in roles.items():
        known = bank[name].astype(np.float32)
        asked = queries[name].astype(np.float32)
        for reader in ("knn", "probe"):
            for budget in BUDGETS:
                if budget is not None and budget > largest:
                    continue
                found = few_labels(reader, known, labels, asked, truth, budget, seed)
                what = {"name": name, "role": role, "reader": reader, "labels": budget or "all"}
                rows.append({**what, **found.as_dict()})
    return rows


def _labelled(
    run: Run, labels: Any, contestants: Contestants, frozen: Frozen | None
) -> tuple[dict[str, NDArray], NDArray[np.str_], NDArray[np.str_], LeftOut]:
    """Features of all contestants for labelled examples, their labels and groups, and what of the
    labels was left out."""
    source, known, left = label_source(run, labels)
    parts: list[dict[str, NDArray]] = []
    ids: list[str] = []
    groups: list[str] = []
    for batch in source.batches(run.chunk, ids=set(known)):
        features = contestants(batch)
        parts.append({name: _small(value) for name, value in features.items()})
        ids += map(str, batch.ids)
        groups += [str(g) for g in batch.group]
    if not parts:
        raise none_read(labels)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if frozen is not None:
        joined[PRETRAINED] = _by_pretrained(run, labels, frozen, ids)
    return joined, np.array([known[i] for i in ids]), np.array(groups), left


def _by_pretrained(run: Run, labels: Any, frozen: Frozen, ids: list[str]) -> NDArray:
    """(n, d) features of a pretrained network, which sees images as large as it takes."""
    canvas = max(frozen.side, int(run.config["source"].get("options", {}).get("canvas") or 0))
    table = is_table(labels, run.config["source"].get("path"))
    source = run.own_source(canvas) if table else run.open(labels, canvas=canvas)
    found: dict[str, NDArray] = {}
    for batch in source.batches(run.chunk, ids=set(ids)):
        found |= zip(map(str, batch.ids), frozen(batch), strict=True)
    return np.stack([found[i] for i in ids])


def _small(features: NDArray) -> NDArray:
    """Half precision, unless it would lose whole numbers: pixels and unit vectors fit."""
    return features.astype(np.float16) if np.abs(features).max(initial=0) <= 1024 else features


def read_scores(run: Run) -> dict[str, Any]:
    """``scores.json``, or an empty dict."""
    return scores_of(run.path)
