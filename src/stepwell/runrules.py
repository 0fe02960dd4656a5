"""What a run tells of itself in ``config.toml`` and ``scores.json``: rules for all that is read.

What is not named here is shown at most. All that older runs lack may be missing.
"""

from __future__ import annotations

from typing import Any

from stepwell.kit.schema import (
    Rule,
    either,
    entries,
    nothing,
    number,
    several,
    whole,
    word,
    yes_no,
)

_COUNT = whole(0, 2**60)
_FIGURE = either(number(), nothing)
"""JSON has null for what is no number."""


def _any_number(value: Any) -> None:
    """Infinity and NaN too, which TOML has."""
    if type(value) not in (int, float):
        raise ValueError(f"{str(value)[:80]!r}, not a number")


def _view(value: Any) -> None:
    """A view of a run: judged, or only named."""
    entries({"name": word()}, {"used": yes_no, "kept": _any_number, "natural": _any_number})(value)
    if not {"kept", "natural"}.isdisjoint(value):
        entries({"used": yes_no})(value)


def _trained(value: Any) -> None:
    """Nothing, or how a network was trained."""
    done = entries({"step": _COUNT, "kind": word(), "did": word()})
    known = {"backbone": word(), "pretext": word(), "rate": _any_number}
    known |= {"regulated": several(done), "searched": several(entries({}))}
    needed = {"objective": word(), "samples": _COUNT, "steps": _COUNT}
    entries(needed if value else {}, known)(value)


_SOURCE_OPTIONS = {"canvas": whole(8, 4096), "group_by": word(), "unit": word(), "column": word()}
_CHOICE = dict.fromkeys(("rho", "alpha", "noise", "share"), _any_number) | {"width": whole(1)}

CONFIG: Rule = entries(
    {
        "source": entries(
            {"kind": word(), "name": word()},
            {
                "path": word(),
                "seal": word(),
                "options": entries({}, _SOURCE_OPTIONS),
                "read": entries({}),
            },
        ),
        "learn": entries(
            {"seed": whole(-(2**63), 2**63), "encoder": word(), "pretext": word()},
            {
                "chunk": whole(1, 10**6),
                "share": number(0, 1),
                "budget": number(0),
                "options": entries({}, {"recipe": several(word())}),
            },
        ),
        "choice": entries({"k": whole(1)}, _CHOICE | {"tried": several(entries({}))}),
        "data": entries(dict.fromkeys(("examples", "founders", "distinct", "skipped"), _COUNT)),
        "cost": entries(dict.fromkeys(("seconds", "cpu_seconds", "peak_mb"), number(0))),
    },
    {
        "created": word(),
        "train": _trained,
        "views": several(_view),
        "skipped": several(entries({"id": word(), "reason": word()})),
        "versions": entries({}, {"stepwell": word()}),
    },
)

_BAR = entries({"name": word()}, {"value": _FIGURE, "low": _FIGURE, "high": _FIGURE})


def _figures(value: Any) -> None:
    """Numbers by name."""
    entries({})(value)
    for each in value.values():
        _FIGURE(each)


_HEAD = dict.fromkeys(("value", "low", "high", "balanced"), _FIGURE)
_HEAD |= {"labels": either(word(), _COUNT)}
_CONFUSION = {"labels": either(word(), _COUNT), "classes": several(word())}
_CONFUSION |= {"counts": several(several(_COUNT))}

SCORES: Rule = entries(
    {},
    {
        "verdict": entries({"sentence": word()}, {"tone": word(), "details": several(word())}),
        "retrieval": several(_BAR),
        "labelled": several(entries({"reader": word(), "labels": either(word(), _COUNT)})),
        "robustness": several(entries({})),
        "head": several(entries(_HEAD)),
        "confusion": entries({}, _CONFUSION),
        "retrieval_test": word(),
        "bits": _figures,
        "translation": _figures,
        "modes_above_noise": _COUNT,
        "test": _COUNT,
        "pairs": _COUNT,
        "weight": number(0, 1),
    },
)
