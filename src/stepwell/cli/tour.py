"""``stepwell tour``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from stepwell.cli.console import data_option, emit, json_option, judged, opened, say, scorecard


@click.command("tour")
@click.argument("run", type=click.Path(path_type=Path), default="runs/demo")
@click.option("--pause/--no-pause", default=True, help="Wait for a key between steps.")
@data_option
@json_option
def command(run: Path, data: str | None, pause: bool, as_json: bool) -> None:
    """The ideas of self-supervised learning, step by step, on your own run, in two minutes."""
    from stepwell.scoring import read_scores

    learned = opened(run, data)
    steps = list(_steps(learned, read_scores(learned)))
    if as_json:
        return emit([{"step": i + 1, "title": t, "text": x} for i, (t, x) in enumerate(steps)])
    waiting = pause and sys.stdin.isatty()
    for number, (title, text) in enumerate(steps, 1):
        say(f"\n{number} of {len(steps)} · {title}\n")
        for line in text.splitlines():
            say(f"  {line}")
            time.sleep(0.02 if waiting else 0)
        if waiting and number < len(steps):
            click.pause("\n  any key …")
    return None


def _steps(run: Any, scores: dict[str, Any]) -> list[tuple[str, str]]:
    """Titles and texts, with the run's own figures."""
    config = run.config
    data, learn = config["data"], config["learn"]
    noise = config["choice"]["noise"]
    above = scores["modes_above_noise"]
    recipe = " + ".join(run.recipe) or learn["pretext"]
    return [
        (
            "Data without labels",
            f"{data['examples']:,} examples from {config['source']['name']}. Nobody said what is "
            f"in them.\nWhat can be learned from that? How to tell one from another, and what "
            f"makes no difference.",
        ),
        (
            "Everything is a pair",
            f"The data makes its own questions: here `{learn['pretext']}` ({recipe}).\n"
            f"An example and its changed view belong together; a good encoder puts them close.\n"
            f"`stepwell views SRC` draws these views on your data.",
        ),
        ("Which views? It asks itself", _views(config)),
        (
            "One step at a time",
            f"Each dimension is one thing that stays the same within pairs. λ says how much:\n"
            f"{_spectrum(run)}\nShuffled pairs, which mean nothing, reach "
            f"λ ≈ {noise:.2f}. {above:,} of {run.map.modes:,} lie above and are surely real; the "
            f"others may be, and weigh less.\n`stepwell steps {run.path}` says what each sees.",
        ),
        ("Neighbours", _neighbours(run)),
        (
            "Did it learn?",
            f"{scores['verdict']['sentence']}\nNever trust a score alone: these had the same test."
            f"\n\n{scorecard(scores)}",
        ),
        (
            "What next",
            f"Look: {run.path / 'report.html'}\n"
            f"Judge it with labels of your own: stepwell evaluate {run.path} --labels labels.csv\n"
            f"Use it: stepwell embed {run.path} SRC --out vectors.parquet",
        ),
    ]


def _views(config: dict[str, Any]) -> str:
    rows = config.get("views", [])
    if not rows:
        return "The pretext brings its own pairs: there was nothing to choose."
    told = []
    for row in rows:
        told.append(f"{row['name']:<14} {judged(row)}")
    return "A view that turns an example into another one would teach nonsense.\n" + "\n".join(told)


def _spectrum(run: Any) -> str:
    """Eigenvalues as a small chart of blocks."""
    values = np.asarray(run.map.values)
    picked = np.unique(np.geomspace(1, len(values), 8).astype(int))
    return "\n".join(
        f"dimension {i:>4}  λ = {values[i - 1]:.3f}  {'█' * round(40 * values[i - 1])}"
        for i in picked
    )


def _neighbours(run: Any) -> str:
    ids, _ = run.index
    lines = []
    for i in np.linspace(0, len(ids) - 1, 3).astype(int):
        rows = run.search(str(ids[i]), 4)[1:]
        lines.append(f"{ids[i]}\n    " + ", ".join(f"{r['id']} ({r['cosine']:.2f})" for r in rows))
    return "Closest to three of your examples:\n" + "\n".join(lines)
