"""What a source chose, guessed and left out, as plain facts and in lines for people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.interfaces import Row

SHOWN = 5
"""Examples set aside, and reasons, that are named."""


def facts_of(source: Any) -> Row:
    """As JSON has it.

    Returns
    -------
    dict
        ``kind``; ``decisions``, each with ``what``, ``value`` and ``why``; ``passed_over``, files
        that are no examples, and ``mended``, examples that were changed so that they can be used,
        by why; ``set_aside``, examples that can't be read, by why, as far as it was read.
    """
    reasons = Counter(_kind_of(each.reason) for each in getattr(source, "skipped", ()))
    return {
        "kind": source.kind,
        "decisions": list(getattr(source, "decisions", ())),
        "passed_over": dict(getattr(source, "passed", {})),
        "mended": dict(getattr(source, "mended", {})),
        "set_aside": dict(reasons.most_common()),
    }


def _kind_of(reason: str) -> str:
    """A reason without the figures that differ from example to example."""
    plain = re.sub(r" \((byte|line) \d+\)", "", reason)
    return re.sub(r"\d[\d,.]*", "N", plain)[:120]


def lines_of(facts: Mapping[str, Any], skipped: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """For people: a line for each decision, and for what was left out."""
    lines = [_line(**row) for row in facts["decisions"]]
    lines = lines or [f"{'kind':<10} {facts['kind']}"]
    for name, word in (("passed_over", "passed over"), ("mended", "mended")):
        found = Counter(facts.get(name, {}))
        if found:
            few = "; ".join(f"{count:,} × {why}" for why, count in found.most_common(SHOWN))
            more = "" if len(found) <= SHOWN else f"; {len(found) - SHOWN:,} kinds more"
            what = "file" if name == "passed_over" else "example"
            count = sum(found.values())
            lines.append(f"{word}  {count:,} {what}{'s' * (count != 1)}: {few}{more}")
    lines += [f"set aside  {row['id']!r}: {row['reason']}" for row in skipped[:SHOWN]]
    if len(skipped) > SHOWN:
        lines.append(f"set aside  {len(skipped) - SHOWN:,} more")
    return lines


def _line(what: str, value: str, why: str) -> str:
    return f"{what:<10} {value}" + (f" ({why})" if why and why != value else "")
