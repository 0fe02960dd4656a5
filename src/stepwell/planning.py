"""What learning would read and take, before anything is written."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stepwell.encoders import ENCODERS
from stepwell.engines.broad import COLUMNS
from stepwell.engines.spectral import dimensions
from stepwell.gathering import SCORING, founders_wanted, reasons, solving_seconds, spread_over
from stepwell.interfaces import (
    Batch,
    Encoder,
    Source,
    StepwellError,
    UsageError,
    concatenate,
    ignore,
)
from stepwell.kit.plugins import for_kind
from stepwell.preparing import partners_of, pretext_for
from stepwell.recalibrate import JUDGES
from stepwell.reporting import duration
from stepwell.retrieval import SAMPLE
from stepwell.settings import DIMENSIONS, Settings, check, check_kind
from stepwell.sources import open_source
from stepwell.sources.facts import facts_of

_TRIED = 96
"""Examples that are read and encoded."""
_FITTED = 2048
"""Founders, the tried ones over and over, that the encoder is fitted on at most: with fewer it
would be a smaller one."""


def plan(
    src: Any, preset: str, seed: int, views: str | None = None, pretext: str | None = None
) -> dict[str, Any]:
    """Read a few examples, fit and encode them, and extrapolate.

    Returns
    -------
    dict
        What would be read, the time and memory it would take; or why learning would be
        ``refused``.
    """
    asked = Settings(preset=preset, seed=seed, views=views, pretext=pretext)
    source = open_source(src)
    settings = check_kind(check(asked), source.kind, "target" in source.options)
    if settings.trains:
        raise UsageError(
            "Expected the spectral engine for --dry-run, found a pretext that trains a network: "
            "leave --dry-run out; --budget says how long it may take."
        )
    pairs = pretext_for(settings, source.kind)  # misspelt views are an error here too
    ids = [name for name, _ in source.entries()]
    some, read = _tried(source, ids)
    founders = min(len(ids), founders_wanted(len(ids), source.kind))
    found = {
        "kind": source.kind,
        "options": str(dict(source.options)),
        "found": len(ids),
        "unreadable": f"{len(source.skipped)} of {min(_TRIED, len(ids))} tried",
        "read": facts_of(source),
        "shape": str({k: list(np.shape(v)[1:]) for k, v in some.data.items()}),
    }
    try:
        encoder, fit = _fitted(source, some, founders, preset, seed)
    except StepwellError as error:  # of these few examples; what is read is told all the same
        return found | {"refused": str(error)}
    begun = time.perf_counter()
    encoder.embed(some)
    each = (time.perf_counter() - begun) / len(some)
    k = min(dimensions(DIMENSIONS[preset], len(ids)), encoder.width)
    # Examples and partners (founders' own codes are made once); judges of views, six times or
    # so; a sample and its views by two encoders, for scores without labels.
    encoded = len(ids) * (1 + partners_of(pairs, len(ids)))
    encoded += 6 * min(JUDGES, founders) + 4 * min(SAMPLE, len(ids))
    decoded = len(ids) + (founders if founders < len(ids) else 0)
    total = fit + decoded * read + 1.2 * encoded * each
    total += solving_seconds(encoder.width, k) + SCORING
    return found | {
        "features": encoder.width,
        "dimensions": k + min(COLUMNS, k),
        "time": f"about {duration(total)}",
        "seconds": round(total, 1),
        "memory": f"about {_memory(encoder.width, founders):.1f} GB",
        "disk": f"about {(encoder.width**2 * 8 + len(ids) * (k * 2 + 60)) / 1e6:,.0f} MB",
    }


def _tried(source: Source, ids: list[str]) -> tuple[Batch, float]:
    """A few examples from all over the source, and seconds to read one."""
    start = time.perf_counter()
    chosen = set(spread_over(ids, _TRIED))
    parts = list(source.batches(32, ids=chosen))
    if not parts:
        raise StepwellError(
            f"Expected examples that can be read, found none of {len(ids)} ({reasons(source)})."
        )
    return concatenate(parts), (time.perf_counter() - start) / len(chosen)


def _fitted(
    source: Source, some: Batch, founders: int, preset: str, seed: int
) -> tuple[Encoder, float]:
    """An encoder as large as learning would make it, and seconds to fit it on all founders."""
    kind: Any = for_kind("encoders", ENCODERS, source.kind)
    encoder = kind(preset) if kind in ENCODERS.values() else kind()
    rows = np.resize(np.arange(len(some)), min(founders, _FITTED))
    start = time.perf_counter()
    encoder.fit(some.take(rows), seed=seed, observe=ignore)
    # About half of the time is the same however many founders there are.
    growth = 0.5 + 0.5 * founders / len(rows)
    return encoder, (time.perf_counter() - start) * growth


def _memory(width: int, founders: int) -> float:
    """GB: libraries, sums and their solution, founders' features."""
    return 0.35 + 8e-8 * width**2 + founders * width * 1e-8
