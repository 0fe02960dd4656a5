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
from stepwell.engines.ngram import NgramCounts, NgramModel
from stepwell.interfaces import Source, StepwellError, UsageError
from stepwell.kit.hashing import fold_of
from stepwell.kit.parts import save_part
from stepwell.run import Run

PART = "ngram"
BATCH = 64
JUDGED, PACKED = 2_000_000, 8_000_000
"""Signs of held-out texts that are scored, and of the others that packers see, at most."""


def write_counts(
    folder: Path, source: Source, ids: Collection[str] | None, seed: int
) -> dict[str, Any]:
    """Count all texts into a run's part, and score a tenth of them by the others.

    Returns
    -------
    dict
        ``bits``: of each sign of held-out texts, by the counts, by single bytes, and by two
        packers that have seen the others; ``held``: how many texts these were.
    """
    rest, held = NgramCounts(), NgramCounts()
    seen, asked = _Some(PACKED), _Some(JUDGED)
    for batch in source.batches(BATCH, ids=ids):
        out = fold_of(seed, [str(group) for group in batch.group]) == 0
        texts = np.asarray(batch.data["text"])
        for counts, kept, some in ((rest, seen, texts[~out]), (held, asked, texts[out])):
            counts.add(map(str, some))
            kept.offer(map(str, some))
    save_part(folder / "parts" / PART, rest + held, PART)
    if not seen.texts or not asked.texts:
        return {}
    sides = seen.texts, asked.texts
    nats = {"n-gram": NgramModel(rest).nats(asked.texts), "single bytes": alone(*sides)}
    bits = {name: value / log(2) / asked.signs for name, value in nats.items()}
    bits |= {name: 8 * packed(pack, *sides) / asked.signs for name, pack in PACKERS.items()}
    found = {name: round(value, 3) for name, value in bits.items()}
    return {"bits": found, "held": len(asked.texts)}


class _Some:
    """The first texts, of so many signs in all about; each counts an end too."""

    def __init__(self, most: int) -> None:
        self.texts, self.signs, self._most = list[str](), 0, most

    def offer(self, texts: Iterable[str]) -> None:
        """Keep them while there is room."""
        for text in texts:
            if self.signs >= self._most:
                return
            self.texts.append(text)
            self.signs += len(text) + 1


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
    if not run.has(PART):
        raise StepwellError(f"Expected counts in {run.path}, found none: learn again.")
    if length < 1:
        raise UsageError(f"Expected a length of at least 1, found {length}.")
    if not 0 < options.get("top_p", 1.0) <= 1 or options.get("temperature", 1.0) < 0:
        raise UsageError("Expected 0 < top-p <= 1 and a temperature of 0 or more.")
    return generate(NgramModel(run.part(PART)), prompt, length, **options)
