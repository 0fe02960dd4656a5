"""``stepwell finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from stepwell.cli.console import (
    Progress,
    check_free,
    data_option,
    emit,
    json_option,
    opened,
    raw_option,
    say,
    table,
    tell_labels,
    write_csv,
)
from stepwell.interfaces import UsageError

SHOWN = 5


@click.command("finetune")
@click.pass_context
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", required=True, help="A source with labels, or a CSV of file,label.")
@click.option("--add", is_flag=True, help="To the labels of before, which need not be there.")
@click.option(
    "--engine",
    help="spectral: a head in closed form (default); gradient: the network is trained on.",
)
@click.option(
    "--retain",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Gradient engine: 0, only what is new counts, to 1, only what it knew.",
)
@click.option(
    "--keep", "old", help="Gradient engine: labels of an old task, to tell what is kept of it."
)
@click.option("--lora", type=click.IntRange(1), help="Gradient engine: rank of low-rank changes.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option("--steps", type=click.IntRange(1), help="Updates of the weights.")
@click.option(
    "--rule", help="How the head is learned: logistic, kernel, …, or package.module:function."
)
@click.option("--suspects", type=click.Path(path_type=Path), help="A .csv of doubtful labels.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**32 - 1), show_default=True)
@raw_option
@data_option
@json_option
def command(
    ctx: click.Context,
    run: Path,
    data: str | None,
    labels: str,
    suspects: Path | None,
    overwrite: bool,
    raw_csv: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Learn to tell labels, from as few as there are; predict then tells those of other data.

    A head in closed form leaves the encoder as it is. With --engine gradient a copy of the run's
    network is trained on as well: a small rate that rises slowly, features that stay close to
    those of before, and the point between before and after that --retain asks for.
    """
    from stepwell.finetuning import finetune

    if suspects is not None and suspects.suffix != ".csv":
        raise UsageError(f"Expected --suspects to end in .csv, found {suspects.name!r}.")
    check_free(suspects, overwrite)
    _check_together(ctx, suspects is not None, options)
    with Progress(silent=as_json) as observe:
        found = finetune(opened(run, data), labels, observe=observe, **options)
    if suspects is not None:
        write_csv(suspects, *_as_table(found.get("suspects", [])), raw_csv)
    if as_json:
        return emit(found)
    tell_labels(found["read"])
    kinds = "" if options["add"] else f", {len(found['classes'])} classes"
    say(f"{found['labelled']:,} labelled examples{kinds}")
    for line in found["left_out"]:
        say(line)
    if found.get("replaced"):
        say(f"what was learned before from {found['replaced']:,} labels is replaced (--add adds)")
    if "curve" in found:
        _tell_curve(found["curve"])
        closed = 100 * found["closed_form"]
        say(f"a head in closed form tells {closed:.1f} % of the same labels (--engine left out)")
    elif options["add"]:
        new = ", ".join(found["new"])
        say(f"{found['all_labelled']:,} labels in all{f'; new classes: {new}' if new else ''}")
    else:
        _tell_choice(found)
        _tell_promises(found)
        _tell_suspects(found, suspects)
    say(f"next    stepwell predict {run} NEW")
    return None


def _check_together(ctx: click.Context, suspects: bool, options: dict[str, Any]) -> None:
    closed = options["engine"] != "gradient"
    if suspects and (options["add"] or not closed):
        raise click.UsageError("Expected --suspects without --add and --engine gradient.")
    if closed and ctx.get_parameter_source("retain") != ParameterSource.DEFAULT:
        raise click.UsageError("Expected --retain with --engine gradient: a head changes nothing.")


def _tell_choice(found: dict[str, Any]) -> None:
    if "loss" not in found["tried"][0]:
        name, count = found["fewest"]
        say(
            f"too few of some class to hold any back ({count:,} of {name!r}): nothing was chosen, "
            f"probabilities are a guess"
        )
        return
    rows = [
        [
            f"{' and '.join(row['reads'])}, {row['how']}",
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


def _tell_promises(found: dict[str, Any]) -> None:
    rows = [
        [row["class"], str(row["held"]), f"{100 * row['covered']:.0f}", f"{row['size']:.1f}"]
        for row in sorted(found["covered"], key=lambda row: row["covered"])[:SHOWN]
    ]
    if rows:
        say(
            table(
                rows, ["sets that promise 90 %", "held-back labels", "held it, %", "labels in it"]
            )
        )
    mix = found["mixed_otherwise"]
    if mix is not None:
        say(
            f"of the labels {mix['labels']:.0%} look like {mix['class']!r}, of what it learned "
            f"from {mix['data']:.0%}: sets and doubts promise only for examples mixed as labels are"
        )


def _tell_curve(curve: list[dict[str, Any]]) -> None:
    old = "old_skill" in curve[0]
    rows = [
        [
            f"{row['share']:.0%}",
            f"{100 * row['skill']:.1f}",
            f"{100 * row['kept']:.0f}",
            *([f"{100 * row['old_skill']:.1f}"] if old else []),
            "taken" if row["chosen"] else "",
        ]
        for row in curve
    ]
    names = ["weights moved", "held-out accuracy, %", "neighbours kept, %"]
    say(table(rows, [*names, *(["old task, %"] if old else []), ""]))


def _tell_suspects(found: dict[str, Any], path: Path | None) -> None:
    rows = found["suspects"]
    if not rows:
        return
    say(f"{len(rows):,} labels are doubtful; the most, and what they may be rather:")
    for row in rows[:SHOWN]:
        say(f"    {row['id']}  {row['label']} → {row['rather']}")
    say(f"    all of them: {path}" if path else "    all of them: --suspects FILE.csv")


def _as_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    told = [[r["id"], r["label"], r["rather"], f"{r['doubt']:.4f}"] for r in rows]
    return ["file", "label", "rather", "doubt"], told
