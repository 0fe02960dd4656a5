"""From the summary to what the template shows, section by section.

Every function takes the summary's own section and returns plain values, or None where
there is nothing to show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from stepwell.report import charts, maps, wells
from stepwell.report.curves import curve
from stepwell.report.plots import plot
from stepwell.report.shelf import Shelf

Section = dict[str, Any] | None

TONES = {
    "good": "A clear gain",
    "mixed": "No clear gain",
    "bad": "No gain",
    "unknown": "Not measured",
}
_MODES_OPEN = 8  # the rest wait behind a fold
_ROLES = {
    "ours": "this run",
    "control": "control",
    "ladder": "same features, less learned",
    "peer": "another method",
}


def prose(text: Any) -> Markup:
    """Escaped text in which `backticks` mark code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(str(text)))))


def facts(pairs: Any) -> list[tuple[str, str]]:
    """(name, value) as text."""
    return [(str(pair[0]), str(pair[1])) for pair in pairs or ()]


def verdict(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """The answer, with the sign and the words of its tone."""
    tone = str(given.get("tone", "unknown"))
    tone = tone if tone in TONES else "unknown"
    return {
        "tone": tone,
        "tone_words": TONES[tone],
        "sign": Markup(wells.tone_sign(tone)),
        "sentence": prose(given.get("sentence", "")),
        "details": [prose(detail) for detail in given.get("details") or ()],
    }


def modes(given: Sequence[Mapping[str, Any]], shelf: Shelf) -> Section:
    """What each dimension tells apart; the first few open, the rest behind a fold."""
    rows = [_mode(mode, shelf) for mode in given]
    return {"open": rows[:_MODES_OPEN], "folded": rows[_MODES_OPEN:]} if rows else None


def _mode(mode: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    value, where = charts.finite(mode.get("eigenvalue")), mode.get("where")
    index = str(mode.get("index", ""))
    return {
        "index": index,
        "value": None if value is None else charts.figure(value),
        "meter": None if value is None else Markup(charts.meter(value, "eigenvalue")),
        "note": mode.get("note"),
        "low": shelf.row(mode.get("low")),
        "high": shelf.row(mode.get("high")),
        "where": None if where is None else Markup(charts.heat(where, f"Where step {index} looks")),
    }


def staircase(given: Sequence[Mapping[str, Any]], shelf: Shelf) -> Section:
    """Each order: eigenvalues over time, and what arrived at each step."""
    orders = [
        {
            "title": order.get("title", ""),
            "lead": prose(order.get("lead", "")),
            "chart": Markup(plot(order["chart"])),
            "steps": [
                {
                    "index": str(step.get("index", "")),
                    "time": step.get("time"),
                    "colour": None if step.get("colour") is None else int(step["colour"]) % 6 + 1,
                    "where": _looks(step),
                    "pictures": shelf.row(step.get("pictures")),
                    "notes": [prose(note) for note in step.get("notes") or ()],
                }
                for step in order.get("steps") or ()
            ],
        }
        for order in given
    ]
    return {"orders": orders} if orders else None


def _looks(step: Mapping[str, Any]) -> Markup | None:
    where = step.get("where")
    label = f"Where step {step.get('index', '')} looks"
    return None if where is None else Markup(charts.heat(where, label))


def scores(given: Sequence[Mapping[str, Any]], shelf: Shelf) -> Section:
    """Bar charts, and a key to the roles that occur in them."""
    shown = [
        {
            "name": score.get("name", ""),
            "unit": score.get("unit") or "",
            "note": score.get("note"),
            "chart": Markup(charts.bars(score["rows"], str(score.get("unit") or ""))),
        }
        for score in given
        if score.get("rows")
    ]
    present = {charts.role_of(row) for score in given for row in score.get("rows") or ()}
    key = [(role, words) for role, words in _ROLES.items() if role in present]
    return {"charts": shown, "key": key} if shown else None


def curves(given: Sequence[Mapping[str, Any]], shelf: Shelf) -> Section:
    """Line charts."""
    shown = [
        {
            "title": chart.get("title", ""),
            "y_label": chart.get("y_label", ""),
            "chart": Markup(curve(chart)),
        }
        for chart in given
        if chart.get("lines")
    ]
    return {"charts": shown} if shown else None


def spectrum(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """The steps down into the well."""
    kept = given.get("kept")
    drawn = wells.spectrum(
        _list(given.get("eigenvalues")), given.get("noise"), None if kept is None else int(kept)
    )
    return {"chart": Markup(drawn), "note": given.get("threshold_note")} if drawn else None


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def neighbours(given: Sequence[Mapping[str, Any]], shelf: Shelf) -> Section:
    """Queries and what lies nearest to them."""
    rows = [
        {"query": shelf.row([row["query"]]), "hits": shelf.row(row.get("hits"))} for row in given
    ]
    return {"rows": rows} if rows else None


def data(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """What was learned from, and what was set aside."""
    skipped = list(given.get("skipped") or ())
    total = int(given.get("skipped_total") or len(skipped))
    return {
        "facts": facts(given.get("facts")),
        "samples": shelf.row(given.get("samples")),
        "skipped": skipped,
        "skipped_total": total,
        "skipped_more": max(total - len(skipped), 0),
    }


def views(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """Which changes an example survives."""
    rows = []
    for row in given.get("rows") or ():
        share = charts.finite(row.get("retrieval"))
        rows.append(
            {
                "name": row.get("name", ""),
                "why": row.get("why"),
                "used": bool(row.get("used")),
                "retrieval": None if share is None else f"{100 * share:.0f} %",
                "meter": None
                if share is None
                else Markup(charts.meter(share, f"{100 * share:.0f} % recognised")),
                "pictures": shelf.row(row.get("pictures")),
            }
        )
    return {"rows": rows, "note": given.get("note")} if rows else None


def recipe(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """What it cost, and all that is needed to do it again."""
    return {
        "facts": facts(given.get("facts")),
        "config": given.get("config"),
        "versions": facts(given.get("versions")),
    }


def commands(given: Sequence[Mapping[str, Any]], shelf: Shelf) -> Section:
    """What to run next."""
    return {"rows": list(given)} if given else None


def atlas(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """The map. Comes last: pictures that the page has already are only referred to."""
    points = maps.place(given.get("x", ()), given.get("y", ()))
    n = len(points)
    if not n:
        return None
    pictures = _padded(given.get("pictures"), n)
    labels = [None if label is None else str(label) for label in _padded(given.get("label"), n)]
    ids = ["" if name is None else str(name) for name in _padded(given.get("ids"), n)]
    legend, colours = maps.colour_of(labels)
    thumbs = [
        {**shelf.picture(pictures[i]), "x": points[i, 0], "y": points[i, 1], "narrow": narrow}
        for i, narrow in maps.spread(points, _drawable(pictures))
    ]
    on_page = len(shelf.numbers)
    numbers = [-1 if p is None else shelf.number(str(p.get("html", ""))) for p in pictures]
    index = {
        "x": [round(float(x), 4) for x in points[:, 0]],
        "y": [round(float(y), 4) for y in points[:, 1]],
        "ids": ids,
        "label": labels if legend else None,
        "picture": numbers,
        "first": on_page,
        "extra": list(shelf.numbers)[on_page:],
    }
    return {
        "dots": Markup(maps.dots(points, colours, f"Map of {n:,} examples")),
        "thumbs": thumbs,
        "legend": legend,
        "other": bool(legend) and 0 in colours,
        "index": Markup(safe_json(index)),
    }


def _padded(values: Any, n: int) -> list[Any]:
    """A list of n, whatever was given: a short column must not cost the page."""
    known = _list(values)[:n]
    return known + [None] * (n - len(known))


def _drawable(pictures: Sequence[Mapping[str, Any] | None]) -> list[int]:
    """Indices of images: words and lines can't be read at a thumbnail's size."""
    return [
        i for i, picture in enumerate(pictures) if picture and "<img" in str(picture["html"])[:4]
    ]


def safe_json(content: Any) -> str:
    """JSON that can stand inside a ``<script>`` element, whatever the strings hold."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def answers(given: Sequence[Mapping[str, str]], shelf: Shelf) -> Section:
    """What a run says to texts that it was not shown, beside what stands there."""
    return {"rows": [dict(row) for row in given]}


def phases(given: Mapping[str, Any], shelf: Shelf) -> Section:
    """Where a run is, with the evidence; and the choices that were compared."""
    rows = [
        {"phase": row["phase"], "evidence": [prose(told) for told in row["evidence"]]}
        for row in given["rows"]
    ]
    tried = [
        {
            "rho": f"{row['rho']:g}",
            "k": f"{row['k']:,}",
            "separation": f"{row['separation']:.2f}",
            "used": "taken" if row["used"] else "",
        }
        for row in given.get("tried") or ()
    ]
    return {"rows": rows, "tried": tried}


BUILDERS: dict[str, Callable[[Any, Shelf], Section]] = {
    "verdict": verdict,
    "answers": answers,
    "modes": modes,
    "staircase": staircase,
    "scores": scores,
    "curves": curves,
    "spectrum": spectrum,
    "neighbours": neighbours,
    "data": data,
    "views": views,
    "phases": phases,
    "recipe": recipe,
    "next": commands,
    "map": atlas,
}
"""How each section is built. The map is last, as it refers to pictures of the others."""


def built(summary: Mapping[str, Any]) -> dict[str, Section]:
    """Every section that the summary has something for."""
    shelf = Shelf()
    sections: dict[str, Section] = {}
    for name, build in BUILDERS.items():
        given = summary.get(name)
        sections[name] = build(given, shelf) if given is not None and len(given) else None
    return sections


def glance(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """Up to four figures for the first ten seconds: score, dimensions, examples, time."""
    shown = [_first_score(summary.get("scores")), _dimensions(summary.get("spectrum"))]
    for name in ("data", "recipe"):
        pairs = facts((summary.get(name) or {}).get("facts"))
        shown.append({"value": pairs[0][1], "label": pairs[0][0]} if pairs else None)
    return [{"aside": "", **item} for item in shown if item]


def _first_score(given: Any) -> dict[str, str] | None:
    for score in given or ():
        best: Any = min if score.get("lower") else max
        values: dict[bool, list[float]] = {True: [], False: []}
        for row in score.get("rows") or ():
            found = charts.finite(row.get("value"))
            if found is not None:
                values[row.get("role") == "ours"].append(found)
        if not values[True]:
            continue
        value, known = best(values[True]), values[False]
        decimals = charts.places([*known, value])
        unit = f" {score['unit']}" if score.get("unit") else ""
        item = {"value": charts.fixed(value, decimals) + unit, "label": str(score["name"])}
        if known:
            item["aside"] = f"best of the others {charts.fixed(best(known), decimals)}{unit}"
        return item
    return None


def _dimensions(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    kept = (given or {}).get("kept")
    return None if kept is None else {"value": f"{int(kept):,}", "label": "dimensions kept"}
