"""``stepwell evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.cli.console import Progress, emit, json_option, say, scorecard


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", required=True, help="A source with a folder a class, or a CSV.")
@click.option("--test", help="Labelled test set; default: a fifth of --labels.")
@click.option("--pretrained", help="ONNX file of a pretrained network: one more control.")
@click.option("--seed", default=0, show_default=True)
@json_option
def command(
    run: Path, labels: str, test: str | None, pretrained: str | None, seed: int, as_json: bool
) -> None:
    """Score a run with a few labels, beside its controls.

    kNN and a linear probe at 1, 5, 10, 50 and all labels a class, with 95 % intervals.
    """
    from stepwell.run import load

    opened = load(run)
    with Progress(silent=as_json) as observe:
        observe("evaluate", {})
        scores = opened.evaluate(labels, test, seed=seed, pretrained=pretrained)
    if as_json:
        return emit(scores)
    say(scores["verdict"]["sentence"])
    for line in scores["verdict"]["details"]:
        say(line)
    for line in scores["left_out"]:
        say(line)
    say(f"\n{scores['bank']:,} labelled, {scores['test']:,} to test, {scores['classes']} classes\n")
    say(scorecard(scores))
    say(f"\nnext    stepwell report {run}")
    return None
