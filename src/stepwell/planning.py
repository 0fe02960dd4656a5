"""What learning would read and take, before anything is written."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stepwell.encoders import ENCODERS
from stepwell.engines import Quantiser
from stepwell.gathering import FOUNDERS
from stepwell.interfaces import StepwellError, concatenate, ignore
from stepwell.kit.plugins import for_kind
from stepwell.preparing import DIMENSIONS, Settings, check
from stepwell.pretexts.two_views import PAIRED
from stepwell.reporting import duration
from stepwell.sources import open_source

_TRIED = 96


def plan(src: Any, preset: str, seed: int) -> dict[str, Any]:
    """Read a few examples, time them, and extrapolate.

    Returns
    -------
    dict
        What would be read, the time and memory it would take, and the rates behind that.
    """
    check(Settings(preset=preset, seed=seed))
    source = open_source(src)
    ids = [name for name, _ in source.entries()]
    start = time.perf_counter()
    chosen = set(ids[:: max(1, len(ids) // _TRIED)][:_TRIED])
    parts = list(source.batches(32, ids=chosen))
    if not parts:
        raise StepwellError(f"Expected examples that can be read, found none of {len(ids)}.")
    some = concatenate(parts)
    read = (time.perf_counter() - start) / max(len(chosen), 1)
    kind: Any = for_kind("encoders", ENCODERS, source.kind)
    encoder = kind(preset) if kind in ENCODERS.values() else kind()
    start = time.perf_counter()
    encoder.fit(some, seed=seed, observe=ignore)
    begun = time.perf_counter()
    Quantiser.fit(encoder.embed(some))
    each = (time.perf_counter() - begun) / len(some)
    width = int(encoder.width)
    founders = min(len(ids), FOUNDERS)
    fit = (begun - start) * max(1.0, (founders / len(some)) ** 0.5) * 2
    solving = 2e-10 * width**3
    encoded = len(ids) + min(len(ids), PAIRED)
    total = fit + len(ids) * read + 1.1 * encoded * each + 4 * founders * each + solving
    return {
        "kind": source.kind,
        "options": str(dict(source.options)),
        "found": len(ids),
        "unreadable": f"{len(source.skipped)} of {len(chosen)} tried",
        "shape": str({k: list(np.shape(v)[1:]) for k, v in some.data.items()}),
        "features": width,
        "dimensions": min(DIMENSIONS[preset], max(1, len(ids) // 2)),
        "time": f"about {duration(total)}",
        "seconds": round(total, 1),
        "memory": f"about {0.35 + 5e-8 * width**2 * 1.6 + founders * width * 1e-8:.1f} GB",
        "disk": f"about {(width**2 * 8 + len(ids) * (DIMENSIONS[preset] * 2 + 60)) / 1e6:,.0f} MB",
    }
