"""Passes over the examples: the one that learns, and those that networks are trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stepwell import gathering, generating, recording, retrieval, sharing, translating
from stepwell.interfaces import Batch, Observer, Source
from stepwell.kit.stopwatch import waiting
from stepwell.preparing import Learned
from stepwell.pretexts.tokens import Next, Parallel
from stepwell.runfile import batch_size
from stepwell.settings import Settings, class_of

HELD: dict[Any, Any] = {Next: generating.held_out, Parallel: translating.held_out}
"""Which examples some pretexts are scored on: they are held out."""


def every_example(
    source: Source,
    founders: Batch,
    entries: list[tuple[str, str]],
    settings: Settings,
    chunk: int,
) -> Callable[[], Iterable[Batch]]:
    """Passes over all that a network is trained on; without what its pretext is scored on."""
    ids = {name for name, _ in entries}
    every = partial(gathering.one_pass, source, founders, entries, ids, chunk)
    pretext = class_of(settings, source.kind)
    if pretext not in HELD:
        return every
    kept = ids - HELD[pretext](entries, settings.seed)
    return lambda: gathering.only(every(), kept)


def the_pass(
    batches: Iterable[Batch],
    count: int,
    founders: set[str],
    learned: Learned,
    folder: Path,
    offer: sharing.Offer,
    tell: Observer,
) -> Batch:
    """The one pass: the engine sees all pairs; codes go to disk, a sample is kept for scores."""
    kept, done = retrieval.Sample(offer.seed, founders), 0
    reader = waiting(batches)
    passes = learned.engine.learn(reader, learned.pretext, learned.encoder, offer.seed)
    with recording.Examples(folder, offer.seed, founders) as examples:
        for batch, codes in passes:
            examples.add(batch, codes)
            kept.offer(batch)
            done += len(batch)
            tell("learn", {"done": done, "of": count, "wait": reader.share})
        for other in offer.gathered(kept):
            examples.join(other)
    return kept.batch()


def chunk_of(founders: Batch) -> int:
    """Examples that are read at a time."""
    size = sum(np.asarray(v[:1]).nbytes for v in founders.data.values())
    return batch_size(size)
