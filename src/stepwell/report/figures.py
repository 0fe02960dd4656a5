"""Scores as what a page draws of them: bars and curves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def score_bars(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """Bars with intervals: all labels where there are any, and view retrieval; translations, and
    what the next sign costs."""
    bits = [_bits(scores["bits"])] if scores.get("bits") else []
    writes = "both" in scores.get("bits", ())  # what it was trained for comes first
    bars = []
    if scores.get("translation"):
        note = f"sacreBLEU on {scores['pairs']} pairs that were held out"
        rows = _plain(scores["translation"], ("stepwell",))
        bars.append({"name": "Translation", "unit": "BLEU", "note": note, "rows": rows})
    bars += bits if writes else []
    names = {"knn": "kNN accuracy, all labels", "probe": "Linear probe, all labels"}
    notes = {"knn": "cosine, k = 20", "probe": "ridge classifier on the frozen embedding"}
    for reader, title in names.items():
        rows = [
            r for r in scores.get("labelled", []) if r["reader"] == reader and r["labels"] == "all"
        ]
        if rows:
            bars.append({"name": title, "unit": "%", "note": notes[reader], "rows": rows})
    if scores.get("retrieval"):
        note = "share of fresh views that find their own example among hundreds; no labels"
        bars.append(
            {"name": "View retrieval", "unit": "%", "note": note, "rows": scores["retrieval"]}
        )
    return bars if writes else bars + bits


def _bits(bits: Mapping[str, float]) -> dict[str, Any]:
    note = "of texts that were held out: the lower the better"
    rows = _plain(bits, ("n-gram", "transformer", "both"))
    name = "What the next sign costs"
    return {"name": name, "unit": "bits", "note": note, "rows": rows, "lower": True}


def _plain(figures: Mapping[str, float], ours: Collection[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "role": "ours" if name in ours else "control", "value": value}
        for name, value in figures.items()
    ]


def score_curves(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """Accuracy over the number of labels a class, a line a contestant."""
    curves = []
    for reader, title in (("probe", "Linear probe on few labels"), ("knn", "kNN on few labels")):
        rows = [r for r in scores.get("labelled", []) if r["reader"] == reader]
        if not rows:
            continue
        budgets = list(dict.fromkeys(r["labels"] for r in rows))
        lines = []
        for name in dict.fromkeys(r["name"] for r in rows):
            mine = [r for r in rows if r["name"] == name]
            line = {"name": name, "role": mine[0]["role"], "y": [r["value"] for r in mine]}
            lines.append(
                line | {"low": [r["low"] for r in mine], "high": [r["high"] for r in mine]}
            )
        axis = {"x_label": "labels a class", "y_label": "accuracy, %"}
        curves.append({"title": title, **axis, "x": [str(b) for b in budgets], "lines": lines})
    return (
        curves
        + _heads(scores.get("head", []))
        + _worse(scores.get("robustness", []))
        + _kept(scores.get("curve", []))
    )


def _heads(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The head that fine-tuning would fit, over labels a class."""
    if not rows:
        return []
    line = {"name": "accuracy", "role": "ours", "y": [row["value"] for row in rows]}
    line |= {"low": [row["low"] for row in rows], "high": [row["high"] for row in rows]}
    each = {"name": "mean of classes", "role": "ladder", "y": [row["balanced"] for row in rows]}
    axis = {"x_label": "labels a class", "y_label": "accuracy, %"}
    steps = [str(row["labels"]) for row in rows]
    title = "The head that finetune fits, on few labels"
    return [{"title": title, **axis, "x": steps, "lines": [line, each]}]


def _worse(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy as examples get worse, a chart a change; and how sure the run's own votes are."""
    charts = []
    for change in dict.fromkeys(row["change"] for row in rows):
        lines = []
        for name in dict.fromkeys(row["name"] for row in rows):
            mine = [row for row in rows if (row["change"], row["name"]) == (change, name)]
            role = {"stepwell": "ours", "whitening only": "ladder"}.get(name, "control")
            lines.append({"name": name, "role": role, "y": [row["accuracy"] for row in mine]})
            if role == "ours":
                sure = [row["confidence"] for row in mine]
                lines.append({"name": "how sure it is", "role": "peer", "y": sure})
                steps = [str(row["strength"]) for row in mine]
        axis = {"x_label": "strength", "y_label": "kNN accuracy, %"}
        charts.append({"title": f"Worse: {change}", **axis, "x": steps, "lines": lines})
    return charts


def _kept(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New skill beside what is kept, between the weights of before and after fine-tuning."""
    if not rows:
        return []
    names = {"skill": ("new labels", "ours"), "kept": ("neighbours kept", "ladder")}
    names |= {"old_skill": ("old labels", "control")} if "old_skill" in rows[0] else {}
    lines = [
        {"name": name, "role": role, "y": [100 * row[key] for row in rows]}
        for key, (name, role) in names.items()
    ]
    steps = [f"{row['share']:.0%}{' (taken)' if row['chosen'] else ''}" for row in rows]
    axis = {"x_label": "way from the weights before to those after", "y_label": "%"}
    return [{"title": "Gained and kept by fine-tuning", **axis, "x": steps, "lines": lines}]
