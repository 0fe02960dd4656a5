"""``stepwell finetune``."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.cli.console import emit, json_option, say, table


@click.command("finetune")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", required=True, help="A source with labels, or a CSV of file,label.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**32 - 1), show_default=True)
@json_option
def command(run: Path, labels: str, seed: int, as_json: bool) -> None:
    """Learn to tell labels, from as few as there are; predict then tells those of other data."""
    from stepwell.finetuning import finetune
    from stepwell.run import load

    found = finetune(load(run), labels, seed=seed)
    if as_json:
        return emit(found)
    say(f"{found['labelled']:,} labelled examples, {len(found['classes'])} classes")
    if found["unmatched"]:
        say(f"{found['unmatched']:,} labels name no example of this run: left out")
    if "loss" not in found["tried"][0]:
        say("too few of some class to hold any back: nothing was chosen, probabilities are a guess")
    else:
        rows = [
            [
                " and ".join(row["reads"]),
                f"{100 * row['accuracy']:.1f}",
                f"{row['loss']:.3f}",
                "taken" if row["chosen"] else "",
            ]
            for row in found["tried"]
        ]
        say(table(rows, ["a head on", "held-out accuracy, %", "nats", ""]))
        least = min(found["tried"], key=lambda row: row["loss"])
        if not least["chosen"]:
            say("the first is left only for one that is better by two standard errors")
    say(f"next    stepwell predict {run} NEW")
    return None
