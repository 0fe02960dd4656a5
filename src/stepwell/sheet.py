"""The contact sheet of ``stepwell views``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.encoders import PatchEncoder
from stepwell.gathering import spread_over
from stepwell.interfaces import Batch, Observer, Row, UsageError, concatenate
from stepwell.pretexts import TwoViews
from stepwell.recalibrate import FEWEST, calibrate
from stepwell.sources import open_source
from stepwell.views import RECIPES, VIEWS, parse, pictures, render

SHOWN, TILE, GAP, LABEL = 8, 96, 6, 150
JUDGED = 800


def contact_sheet(
    src: Any,
    out: Path,
    *,
    names: Sequence[str] = (),
    judge: bool = True,
    seed: int = 0,
    observe: Observer,
) -> list[Row]:
    """Draw examples seen through each view; judge the candidates of learning.

    Returns
    -------
    list of row
        ``name`` and, for what was judged, ``retrieval``, ``used`` and ``why``.
    """
    batch = _read(open_source(src), JUDGED if judge and not names else SHOWN)
    if "image" not in batch.data:
        raise UsageError("Expected images, found another kind of data: it has no views to draw.")
    rows: list[Row] = []
    if judge and not names and len(batch) >= FEWEST:
        encoder = PatchEncoder("fast").fit(batch, seed=seed, observe=observe)
        rows = calibrate(encoder, TwoViews(), batch, seed=seed, observe=observe).rows
    judged = {row["name"] for row in rows}
    rest = [n for n in names or chain(RECIPES, VIEWS) if n not in judged]
    rows += [{"name": n, "summary": _summary(n)} for n in dict.fromkeys(rest)]
    _draw(batch.take(slice(0, SHOWN)), rows, seed, out)
    return rows


def _read(source: Any, wanted: int) -> Batch:
    """About ``wanted`` examples, spread evenly over the source."""
    ids = [name for name, _ in source.entries()]
    chosen = set(spread_over(ids, wanted))
    parts = list(source.batches(64, ids=chosen))
    if not parts:
        raise UsageError(f"Expected images that can be read, found none of {len(ids)}.")
    whole = concatenate(parts)
    order = np.random.default_rng(0).permutation(len(whole))
    return whole.take(order)


def _summary(name: str) -> str:
    if name in VIEWS:
        return VIEWS[name].summary
    return RECIPES.get(name, "your own")


def _draw(batch: Batch, rows: list[Row], seed: int, out: Path) -> None:
    """A row a view, a column an example, the originals on top."""
    from PIL import Image, ImageDraw

    tall = (len(rows) + 1) * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (LABEL + len(batch) * (TILE + GAP) + GAP, tall), "white")
    pen = ImageDraw.Draw(sheet)
    for line, row in enumerate([{"name": "as they are"}, *rows]):
        name = row["name"]
        recipe = f"{name}:1" if name in ("flip", "grey") else name
        views = parse(recipe) if line else []
        seen = pictures(render(batch, views, seed).data["image"])
        top = GAP + line * (TILE + GAP)
        used = (" (used)" if row["used"] else " (not used)") if "used" in row else ""
        rate = f"\nkept {row['kept']:.2f} of {row['bar']:.2f}" if "kept" in row else ""
        pen.text((GAP, top + TILE // 2 - 14), f"{name}{used}{rate}", fill="black")
        for i, pixels in enumerate(seen):
            shown = pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, -1)
            tile = Image.fromarray(shown).resize((TILE, TILE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (LABEL + i * (TILE + GAP), top))
    try:
        sheet.save(out)
    except (ValueError, OSError) as error:
        raise UsageError(f"Expected --out to name a picture such as views.png: {error}.") from None
