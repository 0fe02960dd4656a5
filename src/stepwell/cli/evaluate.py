"""``stepwell evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import (
    Progress,
    data_option,
    emit,
    json_option,
    opened,
    say,
    scorecard,
    table,
    tell_labels,
)


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", required=True, help="A source with a folder a class, or a CSV.")
@click.option("--test", help="Labelled test set; default: a fifth of --labels.")
@click.option("--pretrained", help="ONNX file of a pretrained network: one more control.")
@click.option("--robust", is_flag=True, help="Also: accuracy as test examples get worse.")
@click.option("--seed", default=0, show_default=True)
@data_option
@json_option
def command(
    run: Path,
    data: str | None,
    labels: str,
    test: str | None,
    pretrained: str | None,
    robust: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Score a run with a few labels, beside its controls.

    kNN and a linear probe at 1, 5, 10, 50 and all labels a class, with 95 % intervals.
    """
    from stepwell.robustness import changes_of

    learned = opened(run, data)
    if robust:
        changes_of(learned)  # before minutes of scoring
    with Progress(silent=as_json) as observe:
        observe("evaluate", {})
        scores = learned.evaluate(labels, test, seed=seed, pretrained=pretrained)
        if robust:
            rows = learned.robustness(labels, test, seed=seed, observe=observe)
            scores |= {"robustness": rows}
    if as_json:
        return emit(scores)
    tell_labels(scores["read"])
    if "pretrained" in scores:
        say(f"pretrained network: {scores['pretrained']}")
    say(scores["verdict"]["sentence"])
    for line in scores["verdict"]["details"]:
        say(line)
    for line in scores["left_out"]:
        say(line)
    say(f"\n{scores['bank']:,} labelled, {scores['test']:,} to test, {scores['classes']} classes\n")
    say(scorecard(scores))
    if robust:
        say(f"\n{_worse(scores['robustness'])}")
    say(f"\nnext    stepwell report {run}")
    return None


def _worse(rows: list[dict[str, Any]]) -> str:
    """Accuracy by strength, a line a change and contestant; and how sure it was at the last."""
    lines = []
    for change in dict.fromkeys(row["change"] for row in rows):
        for name in dict.fromkeys(row["name"] for row in rows):
            mine = [row for row in rows if row["change"] == change and row["name"] == name]
            told = [f"{row['accuracy']:.1f}" for row in mine]
            lines.append([change, name, *told, f"{mine[-1]['confidence']:.0f}"])
    strengths = [str(row["strength"]) for row in rows if row["change"] == lines[0][0]]
    head = ["kNN accuracy, %", "", *dict.fromkeys(strengths), "votes at the last, %"]
    return table(lines, head, words=(0, 1))
