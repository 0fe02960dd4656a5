"""Rows of `staircase.py` as the tables of `results/staircase.md`."""

from __future__ import annotations

import numpy as np
from tables import grouped, table

HEAD = """# The staircase: theory, forecasts and explanations as measured

Written by `make bench-staircase` (`benchmarks/staircase.py`) on {date}, {machine}, Python {python},
{versions}.
Medians and worst cases are over modes whose critical times do not nearly tie; how many were left
out is said. docs/staircase.md has the equations.
"""


def _percent(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{100 * value:.{digits}f} %"


def _theory(rows: list[dict], *keys: str) -> str:
    lines = []
    for names, some in grouped(rows, *keys).items():
        line = [*map(str, names), str(len(some))]
        line += [_percent(np.median([r["median"] for r in some]))]
        line += [_percent(max(r["worst"] for r in some))]
        line += [str(sum(r["ties"] for r in some))]
        line += [f"{max(r['loss'] for r in some):.0e}", f"{max(r['size_error'] for r in some):.0e}"]
        line += [", ".join(f"{r['alignment']:.4f}" for r in some)]
        line += [", ".join(f"{r['alignment_said']:.4f}" for r in some)]
        lines.append(line)
    head = [*keys, "runs", "median error of τ", "worst", "near-ties left out", "final loss"]
    head += ["median error of s", "alignment", "alignment, predicted"]
    return table(head, lines)


def _linear(rows: list[dict]) -> str:
    return _theory(rows, "data", "side")


def _kernels(rows: list[dict]) -> str:
    return _theory(rows, "data", "kernel")


def _wide(rows: list[dict]) -> str:
    widths = sorted({row["width"] for row in rows})
    lines = []
    for (name,), some in grouped(rows, "data").items():
        by_width = {row["width"]: row["errors"] for row in some}
        lines.append([name, *(_percent(np.median(by_width[w]), 1) for w in widths)])
    return table(["data", *(f"width {w}" for w in widths)], lines)


def _forecasts(rows: list[dict]) -> str:
    lines = []
    for (kind, share), some in grouped(rows, "kind", "share").items():
        lines.append(_forecast_line(kind, f"{share:.0%}", some))
    nets = [row for row in rows if row["kind"] != "linear"]
    for title, some in (("all convnets", nets), ("all runs", rows)):
        lines.append(_forecast_line(title, "1 % and 10 %", some))
    head = ["runs", "made at", "number of runs", "forecasts", "none", "median error"]
    head += ["log-linear", "“now”", "in the 80 % interval", "median width"]
    return table(head, lines)


def _median(rows: list[dict], key: str) -> float | None:
    return float(np.median([row[key] for row in rows])) if rows else None


def _forecast_line(kind: str, share: str, some: list[dict]) -> list[str]:
    known = [row for row in some if row["error"] is not None]
    line = [kind, share, str(len({row["run"] for row in some})), str(len(known))]
    line += [str(len(some) - len(known))]
    line += [_percent(_median(known, "error"), 1)]
    line += [_percent(_median(known, "log_linear"), 1), "100 %"]
    line += [_percent(np.mean([r["covered"] for r in known]) if known else None, 0)]
    width = f"{np.median([r['width'] for r in known]):.2f} of the way" if known else "–"
    return [*line, width]


def _stop(rows: list[dict]) -> str:
    lines = [
        [
            row["run"],
            f"{row['budget']:,.0f}",
            f"{row['stopped']:,.0f}",
            _percent(row["saved"], 0),
            str(row["missed"]),
            f"{row['knn_gain_missed']:+.1f}",
        ]
        for row in rows
    ]
    mean = ["mean", "", "", _percent(np.mean([r["saved"] for r in rows]), 0)]
    mean += [f"{np.mean([r['missed'] for r in rows]):.2f}"]
    lines.append([*mean, f"{np.mean([r['knn_gain_missed'] for r in rows]):+.2f}"])
    head = ["run", "budget, samples", "stopped at", "saved", "steps missed"]
    return table([*head, "kNN gained by going on, points"], lines)


def _explain(rows: list[dict]) -> str:
    lines = []
    for (what, clock), some in grouped(rows, "planted", "clock").items():
        named = sum(row["named"] for row in some)
        carried = np.median([row["carried_r"] for row in some])
        first = np.median([row["step"] for row in some])
        lines.append([what, clock, f"{named} of {len(some)}", f"{carried:.2f}", f"{first:.0f}"])
    head = ["planted", "order", "named by the step that carries it"]
    return table([*head, "median r of that step with what was planted", "which step"], lines)


def _cost(rows: list[dict]) -> str:
    lines = [
        [
            row["run"],
            f"{row['seconds']:.0f}",
            str(row["records"]),
            _percent(row["logging"] / row["seconds"]),
            _percent(row["forecasting"] / row["seconds"]),
            _percent((row["logging"] + row["forecasting"]) / row["seconds"]),
        ]
        for row in rows
    ]
    return table(["run", "seconds", "records", "logging", "forecasting", "together"], lines)


PARTS = {
    "linear": (
        "A linear model, d = 10, first weights 10⁻⁴, 500 images",
        "Gradient descent against the discrete form, three seeds each. Where the alignment is "
        "below 1, the last dimension is shared with the next eigenvectors of Γ; theory says by "
        "how much.",
        _linear,
    ),
    "kernels": ("Kernel models, 150 pairs", "As above.", _kernels),
    "wide": (
        "A wide network against its tangent kernel at the start",
        "Median error of the critical times over three modes and three seeds.",
        _wide,
    ),
    "forecast": (
        "Forecasts",
        "Made when a mode is at 1 % and at 10 % of its final size. Errors are relative to the time "
        "that was left, so “now” is off by 100 %. Log-linear: a line through the last six "
        "records of log e, to half of the plateau that the forecast has too. Linear runs know "
        "their plateau; in convnets it is taken from the dimensions that have come.",
        _forecasts,
    ),
    "stop": (
        "The stop rule",
        "A budget drawn at random within each run. Labels serve the kNN score only.",
        _stop,
    ),
    "explain": (
        "Explanations",
        "400 CIFAR-10 images with something added (light or red by a random amount, or a white "
        "mark in half of them), learned with shift and noise as views; the step that goes with it "
        "most has to name it. Ten seeds.",
        _explain,
    ),
    "cost": ("Cost", "Shares of the run's time; a forecast at every second record.", _cost),
}
