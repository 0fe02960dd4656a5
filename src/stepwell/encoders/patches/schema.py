"""What a run may hold of a patch encoder: sizes that fit each other, for C computes with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.encoders.patches.geometry import grid_side
from stepwell.encoders.patches.stream import PATCH, densest
from stepwell.kit.schema import Schema, Table, entries, number, several, whole, word, yes_no

MOST_SIDE, MOST_CHANNELS, MOST_ATOMS, MOST_MODES = 4096, 64, 32_768, 8192
_RULES = {
    "side": whole(PATCH, MOST_SIDE),
    "colour": yes_no,
    "stride": whole(1, MOST_SIDE),
    "threshold": number(-1, 1),
    "even": whole(0, MOST_MODES),
}
MOST_CODE, MOST_PIXELS = 2**28, 2**26
"""Numbers that the modes of one image's patches are, and its pixels, at most: what the densest
preset makes of the largest canvas."""
_LARGE = 1e15
"""Largest number of a table: products of two of them, summed up, are finite."""


def schema_of(settings: Mapping[str, Any]) -> Schema:
    """Of these settings."""
    rules = {
        "preset": word(),
        "sides": several(whole(PATCH, MOST_SIDE), 16),
        "mirror": yes_no,
        "streams": several(entries(_RULES), 32, 1),
    }
    count = len(settings["streams"]) if isinstance(settings.get("streams"), list) else 0
    arrays: dict[str, Table] = {}
    for i in range(count):
        p, z, a, m = (f"{name} of stream {i}" for name in ("pixels", "columns", "atoms", "modes"))
        arrays |= {
            f"{i}.mean": Table("f", (p,), -_LARGE, _LARGE),
            f"{i}.whiten": Table("f", (p, z), -_LARGE, _LARGE),
            f"{i}.atoms": Table("i", (a, z), size=1),
            f"{i}.rows": Table("f", (a, m), -_LARGE, _LARGE),
            f"{i}.offset": Table("f", (m,), -_LARGE, _LARGE),
        }
    return Schema(rules, arrays, also=_fitting)


def _fitting(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """What no single rule tells: halves, whole patches, modes of one parity among all."""
    tones, coloured = settings.get("tones", 0), set()
    whole(0, MOST_CHANNELS)(tones)
    sides = {stream["side"] for stream in settings["streams"]}
    if sides != set(settings["sides"]):
        raise ValueError(f"sides {settings['sides']}, and streams of {sorted(sides)}")
    for i, stream in enumerate(settings["streams"]):
        pixels, columns = arrays[f"{i}.whiten"].shape
        atoms, modes = arrays[f"{i}.rows"].shape
        channels, rest = divmod(pixels, PATCH**2)
        if stream["stride"] < densest(stream["side"]):
            raise ValueError(f"stream {i} has {stream['stride']} pixels between patches")
        if rest or not 1 <= channels <= MOST_CHANNELS or (not stream["colour"] and channels != 1):
            raise ValueError(f"stream {i} sees patches of {pixels} numbers")
        coloured |= {channels} if stream["colour"] else set()
        if columns % 2 or not 2 <= columns <= 2 * pixels:
            raise ValueError(f"stream {i} has {columns} columns")
        if not 1 <= atoms <= MOST_ATOMS or not 1 <= modes <= MOST_MODES:
            raise ValueError(f"stream {i} has {atoms} atoms and {modes} modes")
        if stream["even"] > modes:
            raise ValueError(f"stream {i} has {stream['even']} even ones of {modes} modes")
        code = grid_side(stream["side"], PATCH, stream["stride"]) ** 2 * modes
        if code > MOST_CODE or stream["side"] ** 2 * channels > MOST_PIXELS:
            raise ValueError(f"stream {i} makes {code:,} numbers of an image")
    if len(coloured) > 1 or (coloured and tones and {tones} != coloured):
        raise ValueError(f"streams see images of {sorted(coloured)} channels, and of {tones}")
