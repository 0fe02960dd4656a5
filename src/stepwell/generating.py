"""What comes next in the texts of a run: counted, scored on held-out ones, and gone on with."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Collection, Iterable, Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.apply.generate import generate
from stepwell.apply.mixture import Mixture, best_weight, mixed
from stepwell.encoders import TransformerEncoder
from stepwell.engines.ngram import NgramCounts, NgramModel
from stepwell.evaluate.verdict import writing_verdict
from stepwell.interfaces import Source, StepwellError, UsageError
from stepwell.kit.hashing import drawn, fold_of
from stepwell.pretexts.tokens import Next
from stepwell.run import Run
from stepwell.runfile import scores_of

COUNTS = "counts.parquet"
BATCH = 64
JUDGED, PACKED = 1_000_000, 4_000_000
"""Signs of held-out texts that are scored, and of the others that are seen for that, at most."""
JUDGED_SLOWLY = 100_000
"""The same where a transformer is scored too."""
WORTH = 0.99
"""Of what counts alone cost: for less than a hundredth a transformer is not asked."""
SHOWN, ASKED, LENGTH = 3, 40, 160
"""Texts that a page goes on with, signs of each that it is told, and signs that follow."""


def held_out(entries: Sequence[tuple[str, str]], seed: int) -> set[str]:
    """Ids that what comes next is scored on: a tenth of the groups, at least one of several."""
    groups = [group for _, group in entries]
    fold = fold_of(seed, groups)
    if not (fold == 0).any() and len(set(groups)) > 1:
        fold = np.array(groups) != groups[drawn(seed, groups, 1)[0]]
    return {name for (name, _), number in zip(entries, fold, strict=True) if number == 0}


def write_counts(
    folder: Path,
    source: Source,
    ids: Collection[str] | None,
    held: Collection[str],
    encoder: Any = None,
) -> dict[str, Any]:
    """Count all texts into a run, and score those that are held out by the others.

    Returns
    -------
    dict
        ``bits``: of each sign of held-out texts, by the counts, by single bytes, and by two
        packers, all of which have seen the others (the first :data:`PACKED` signs); where
        ``encoder`` tells what comes next, by it and by both together, ``weight`` being that of
        the counts; ``held``: how many texts these were; ``answers``: how some would go on.
    """
    rest, others = NgramCounts(folder=folder), NgramCounts(folder=folder)
    seen, asked = _Some(PACKED), _Some(JUDGED if not _writes(encoder) else JUDGED_SLOWLY)
    for batch in source.batches(BATCH, ids=ids):
        out = np.array([str(name) in held for name in batch.ids])
        texts = np.asarray(batch.data["text"])
        kept = seen.offer(map(str, texts[~out]))
        asked.offer(map(str, texts[out]))
        rest.add(kept)
        others.add(map(str, [*texts[~out][len(kept) :], *texts[out]]))
    (rest + others).write(folder / COUNTS)
    del others  # what follows from counts takes several times their memory
    if not seen.texts or not asked.texts:
        return {}
    sides = seen.texts, asked.texts
    model = NgramModel(rest)
    nats, weight = _nats(model, encoder, asked.texts)
    nats["single bytes"] = alone(*sides)
    bits = {name: value / log(2) / asked.signs for name, value in nats.items()}
    bits |= {name: 8 * packed(pack, *sides) / asked.signs for name, pack in PACKERS.items()}
    found = {name: round(value, 3) for name, value in bits.items()}
    if not weight:
        return {"bits": found, "held": len(asked.texts)}
    shown = _answers(_both(model, encoder, **weight), asked.texts)
    judged = {"verdict": writing_verdict(found, **weight), "answers": shown}
    return {"bits": found, "held": len(asked.texts), **weight, **judged}


def _writes(encoder: Any) -> bool:
    """Whether an encoder tells what comes next."""
    return isinstance(encoder, TransformerEncoder) and encoder.style == Next.style


def _nats(
    model: NgramModel, encoder: Any, texts: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """What texts cost by counts, and where there is one by a transformer and by both. The weight
    is chosen on every second text, and the cost by both told of the others; counts alone are
    taken where both together do not cost less there, by a hundredth at least."""
    by_counts = list(model.surprises(texts))
    nats = {"n-gram": _total(by_counts)}
    if not _writes(encoder):
        return nats, {}
    by_network = list(encoder.surprises(text.replace("\0", "") for text in texts))
    first, second = slice(0, None, 2), slice(1, None, 2) if len(texts) > 1 else slice(None)
    weight = best_weight(np.concatenate(by_counts[first]), np.concatenate(by_network[first]))
    counted = np.concatenate(by_counts[second])
    share = mixed(counted, np.concatenate(by_network[second]), weight).sum() / counted.sum()
    nats |= {"transformer": _total(by_network), "both": min(share, 1.0) * nats["n-gram"]}
    return nats, {"weight": weight if share <= WORTH else 1.0}


def _answers(model: Any, texts: Sequence[str]) -> list[dict[str, str]]:
    """How a few texts go on after their first signs, and how they would."""
    shown = [text for text in texts if len(text) > 2 * ASKED][:SHOWN]
    return [
        {
            "asked": text[:ASKED],
            "answer": "".join(generate(model, text[:ASKED], LENGTH, temperature=0.8)),
            "wanted": text[ASKED : ASKED + LENGTH],
        }
        for text in shown
    ]


def _total(costs: Iterable[Any]) -> float:
    return float(sum(each.sum() for each in costs))


class _Some:
    """The first texts, of so many signs in all about; each counts an end too."""

    def __init__(self, most: int) -> None:
        self.texts, self.signs, self._most = list[str](), 0, most

    def offer(self, texts: Iterable[str]) -> list[str]:
        """Keep them while there is room; those that were kept."""
        before = len(self.texts)
        for text in texts:
            if self.signs >= self._most:
                break
            self.texts.append(text)
            self.signs += len(text) + 1
        return self.texts[before:]


PACKERS = {"gzip": gzip.compress, "xz": lzma.compress}


def alone(seen: Sequence[str], asked: Sequence[str]) -> float:
    """Nats by how often each byte comes."""
    sides = [np.frombuffer(_joined(side), np.uint8) for side in (seen, asked)]
    counts, found = (np.bincount(side, minlength=256) for side in sides)
    return float(-(found * np.log((counts + 1) / (counts.sum() + 256))).sum())


def packed(pack: Any, seen: Sequence[str], asked: Sequence[str]) -> int:
    """Bytes that a packer needs more for texts it sees after the others."""
    first, second = _joined(seen), _joined(asked)
    return len(pack(first + second)) - len(pack(first))


def _joined(texts: Sequence[str]) -> bytes:
    return b"".join(text.encode("utf-8", "replace") + b"\n" for text in texts)


def go_on(run: Run, prompt: str, length: int, **options: Any) -> Iterator[str]:
    """Signs that follow a prompt; see :func:`~stepwell.apply.generate.generate`.

    Raises
    ------
    UsageError
        If the run was not learned from texts, or options make no sense.
    StepwellError
        If an older stepwell wrote the run, without counts.
    """
    kind = run.config["source"]["kind"]
    if kind != "text":
        raise UsageError(f"Expected a run of texts to go on with, found one of {kind}.")
    if not (run.path / COUNTS).is_file():
        raise StepwellError(f"Expected counts in {run.path}, found none: learn again.")
    if length < 1:
        raise UsageError(f"Expected a length of at least 1, found {length}.")
    if not 0 < options.get("top_p", 1.0) <= 1 or not options.get("temperature", 1.0) >= 0:
        raise UsageError("Expected 0 < top-p <= 1 and a temperature of 0 or more.")
    return generate(model_of(run), prompt, length, **options)


def counts_of(run: Run) -> NgramCounts:
    """How often each run of bytes came in its texts."""
    return NgramCounts.read(run.path / COUNTS)


def model_of(run: Run) -> Any:
    """What tells the next byte: the counts, or where that costs less, a transformer with them."""
    counts = NgramModel(counts_of(run))
    return _both(counts, run.encoder, float(scores_of(run.path).get("weight", 1.0)))


def _both(counts: NgramModel, encoder: Any, weight: float) -> Any:
    """Counts and a transformer, or counts alone where these weigh all."""
    if weight == 1.0 or not _writes(encoder):
        return counts
    return Mixture(counts, encoder.module, encoder.places(), weight)
