"""Rows of `images.py`, `ladder.py` and `peers/score.py` as the tables of `results/images.md`.

python benchmarks/tables.py ROWS.jsonl > benchmarks/results/images.md
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from stepwell.recording import versions

Writer = Callable[[list[dict]], str]
HEAD = """# Images: accuracy, time and memory beside controls and peers

Written by `make bench` (`benchmarks/*.py`) and `make bench-peers` (`benchmarks/peers/`) on {date},
{machine}, Python {python}, {versions}.
Every row ran in a process of its own; CPU seconds are of all threads together. kNN: cosine, k = 20,
T = 0.1. Means over seeds, ± one standard deviation. Labels are read for scores only; no test image
took part in any choice.
"""


def spread(values: Iterable[float], digits: int = 1) -> str:
    """``70.1 ± 0.3``, or the value alone."""
    known = [v for v in values if v is not None]
    if not known:
        return "–"
    text = f"{mean(known):,.{digits}f}"
    return f"{text} ± {stdev(known):.{digits}f}" if len(known) > 1 else text


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratios(rows: list[dict], one: str, other: str, digits: int = 3) -> list[str]:
    """Median rates of two that ran in turns; the median of their ratio, and its middle half."""
    import numpy as np

    ratio = np.array([row[one] / row[other] for row in rows])
    rates = [f"{np.median([row[name] for row in rows]):,.0f}" for name in (one, other)]
    low, high = np.quantile(ratio, [0.25, 0.75])
    return [*rates, f"{np.median(ratio):.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}"]


def page(head: str, parts: Mapping[str, tuple[str, str, Writer]], rows: list[dict]) -> str:
    """A page of the parts that have rows, ``ROWS`` or ``ROWS:other`` for another table of the same;
    ``head`` is told date, machine and versions."""
    texts = [
        head.format(
            date=date.today(),
            machine=f"{platform.system()} {platform.machine()}, 2 cores",
            python=platform.python_version(),
            versions=", ".join(f"{k} {v}" for k, v in versions().items()),
        )
    ]
    for name, (title, note, write) in parts.items():
        some = [row for row in rows if row["part"] == name.partition(":")[0]]
        if some:
            texts.append(f"## {title}\n\n{note}\n\n{write(some)}")
    return "\n".join(texts)


def headed(title: str, script: str) -> str:
    """The head of a page that a script of this folder writes."""
    written = f"Written by `benchmarks/{script}` on {{date}}, {{machine}}, Python {{python}},"
    return f"# {title}\n\n{written}\n{{versions}}.\n"


def run_parts(
    about: str | None,
    parts: Mapping[str, Callable[[], None]],
    head: str,
    tables: Mapping[str, tuple[str, str, Writer]],
) -> None:
    """A benchmark's command line: measure parts by name, or ``--table ROWS`` as a page."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("parts", nargs="*", choices=[*parts, []])
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print(page(head, tables, [json.loads(line) for line in options.table.open()]))
    for part in options.parts:
        parts[part]()


def emit(**row: Any) -> None:
    """A row of a table, as a line of JSON."""
    print(json.dumps(row, default=float), flush=True)


def grouped(rows: list[dict], *keys: str) -> dict[tuple, list[dict]]:
    """Rows by the values of ``keys``, in the order they came."""
    found: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        found[tuple(row.get(key) for key in keys)].append(row)
    return found


def learned(rows: list[dict]) -> str:
    """Stepwell and peers, with what they cost."""
    lines = []
    for (data, n, who, stem), same in grouped(rows, "data", "examples", "who", "stem").items():
        name = f"{who} ({stem} stem)" if stem else f"stepwell `{who}`"
        times = spread([r["learn_cpu_s"] for r in same], 0)
        line = [data, f"{n:,}", name, str(len(same)), spread([r["knn"] for r in same])]
        line += [spread([r["probe"] for r in same]), times]
        line += [spread([r["peak_mb"] for r in same], 0)]
        line += [spread([r.get("embed_per_s") for r in same], 0)]
        lines.append([*line, same[0].get("views", "")])
    head = ["data", "images", "method", "seeds", "kNN", "probe", "CPU s", "peak MB"]
    return table([*head, "embedded a second", "views chosen"], lines)


def curve(rows: list[dict]) -> str:
    """kNN on CIFAR-10 over the CPU seconds it took to get there."""
    found = []
    for (_, n, who, stem), same in grouped(rows, "data", "examples", "who", "stem").items():
        if same[0]["data"] == "cifar10":
            name = who if stem else f"`{who}`"
            found.append((mean(r["learn_cpu_s"] for r in same), name, n, same))
    lines = [
        [f"{seconds:,.0f}", spread([r["knn"] for r in same]), name, f"{n:,}"]
        for seconds, name, n, same in sorted(found, key=lambda one: one[0])
    ]
    return table(["CPU s", "kNN", "method", "images"], lines)


def controls(rows: list[dict]) -> str:
    """kNN of all contestants of one run, by labels a class."""
    parts = []
    for row in rows:
        found = [r for r in row["table"] if r["reader"] == "knn"]
        budgets = list(dict.fromkeys(str(r["labels"]) for r in found))
        lines = []
        for (name,), same in grouped(found, "name").items():
            cells = {str(r["labels"]): r for r in same}
            shown = [
                f"{cells[b]['value']:.1f} ({cells[b]['low']:.1f} to {cells[b]['high']:.1f})"
                for b in budgets
            ]
            lines.append([name, *shown])
        parts.append(f"### {row['data']}, {row['examples']:,} images, `{row['preset']}`\n")
        parts.append(table(["kNN, labels a class", *budgets], lines))
    return "\n".join(parts)


def ladder(rows: list[dict]) -> str:
    """What the pairs add."""
    parts = []
    for (data, n, views), same in grouped(rows, "data", "examples", "views").items():
        columns = ["width", "knn_10", "knn_all", "probe_10", "probe_all"]
        lines = [[r["rung"], *(str(r[c]) for c in columns)] for r in same]
        parts.append(f"### {data}, {n:,} images; views: {views.replace('+', ', ')}\n")
        head = ["rung", "width", "kNN, 10 labels", "kNN, all", "probe, 10", "probe, all"]
        parts.append(table(head, lines))
    return "\n".join(parts)


def views(rows: list[dict]) -> str:
    """Every recipe of views alone, beside what the label-free rule says of it."""
    parts = []
    for (data, whitening, mirror), same in grouped(rows, "data", "whitening", "mirror").items():
        flip = "the flip is built in" if mirror else "without the flip"
        parts.append(f"### {data}; whitening {whitening:.1f}; {flip}\n")
        lines = [
            [
                f"**{r['recipe'].replace('+', ' + ')}**" if r["view"] == "rule" else r["view"],
                f"{r['kept']:.2f}",
                "yes" if r["safe"] else "no",
                f"{r['retrieval']:.2f}",
                f"{r['score']:.1f}",
                f"{r['gain']:+.1f}",
            ]
            for r in same
        ]
        head = ["views (bold: what the rule picks)", "kept", "safe", "retrieval", "kNN", "gain"]
        parts.append(table(head, lines))
    return "\n".join(parts)


def bare(rows: list[dict]) -> str:
    """Learning against the products and the decoding it can't do without."""
    names = ["learn_cpu_s", "bare_cpu_s", "ratio", "decoding", "encoding", "moments"]
    names.append("eigenproblem")
    lines = [
        [r["preset"], f"{r['examples']:,}", *(f"{r[name]:.2f}" for name in names)] for r in rows
    ]
    return table(["preset", "images", "learn, CPU s", "bare, CPU s", *names[2:]], lines)


def rounding(rows: list[dict]) -> str:
    """kNN with integer codes and with floats."""
    lines = [
        [f"{r['units']:,}", f"{r['rounded']:.2f}", f"{r['floats']:.2f}", f"{r['cost']:+.2f}"]
        for r in rows
    ]
    return table(["images", "rounded", "floats", "cost, points"], lines)


def cost(rows: list[dict]) -> str:
    """CPU seconds over the number of images, and the line through them."""
    import numpy as np

    n = np.array([r["examples"] for r in rows], float)
    t = np.array([r["learn_cpu_s"] for r in rows], float)
    slope, start = np.polyfit(n, t, 1)
    rest = 1 - np.sum((t - start - slope * n) ** 2) / np.sum((t - t.mean()) ** 2)
    lines = [
        [f"{r['examples']:,}", f"{r['learn_cpu_s']:.0f}", f"{r['peak_mb']:,.0f}"] for r in rows
    ]
    said = f"t = {start:.1f} s + {1000 * slope:.2f} ms · N, R² = {rest:.4f}.\n"
    return table(["images", "CPU s", "peak MB"], lines) + "\n" + said


def main() -> None:
    """Print the page."""
    lines = [line for path in sys.argv[1:] for line in Path(path).read_text().splitlines()]
    rows = [json.loads(line) for line in lines]
    main_rows = [r for r in rows if "knn" in r and r.get("cost") is not True]
    for row in main_rows:
        row["who"] = row.get("peer") or row["preset"]
    found = versions()
    print(
        HEAD.format(
            date=date.today(),
            machine=f"{platform.system()} {platform.machine()}, 2 cores",
            python=platform.python_version(),
            versions=", ".join(f"{k} {v}" for k, v in found.items()),
        )
    )
    parts = {
        "Learned": learned(main_rows),
        "CIFAR-10: what more CPU seconds are worth": curve(main_rows),
        "Beside the controls": controls([r for r in rows if "table" in r]),
        "What the pairs add": ladder([r for r in rows if "rung" in r]),
    }
    more = {
        "Views, each alone, on held-out training images": (views, "view"),
        "Against bare products (CIFAR-10)": (bare, "bare_cpu_s"),
        "Rounding to integers (CIFAR-10, `fast`)": (rounding, "rounded"),
    }
    for title, (write, key) in more.items():
        found_rows = [r for r in rows if key in r]
        if found_rows:
            parts[title] = write(found_rows)
    timed = [r for r in rows if r.get("cost") is True]
    if timed:
        parts["Cost over the number of images (CIFAR-10, `fast`)"] = cost(timed)
    for title, text in parts.items():
        print(f"## {title}\n\n{text}")


if __name__ == "__main__":
    main()
