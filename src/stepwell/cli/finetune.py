"""``stepwell finetune``."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import check_free, emit, json_option, say, table

SHOWN = 5


@click.command("finetune")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", required=True, help="A source with labels, or a CSV of file,label.")
@click.option("--add", is_flag=True, help="To the labels of before, which need not be there.")
@click.option("--suspects", type=click.Path(path_type=Path), help="A .csv of doubtful labels.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**32 - 1), show_default=True)
@json_option
def command(
    run: Path,
    labels: str,
    add: bool,
    suspects: Path | None,
    overwrite: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Learn to tell labels, from as few as there are; predict then tells those of other data."""
    from stepwell.finetuning import finetune
    from stepwell.kit.files import write_atomic
    from stepwell.run import load

    check_free(suspects, overwrite)
    found = finetune(load(run), labels, seed=seed, add=add)
    if suspects is not None:
        write_atomic(suspects, _as_csv(found.get("suspects", [])))
    if as_json:
        return emit(found)
    say(f"{found['labelled']:,} labelled examples, {len(found['classes'])} classes")
    for line in found["left_out"]:
        say(line)
    if add:
        new = ", ".join(found["new"])
        say(f"{found['all_labelled']:,} labels in all{f'; new classes: {new}' if new else ''}")
    else:
        _tell_choice(found)
        _tell_suspects(found, suspects)
    say(f"next    stepwell predict {run} NEW")
    return None


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


def _tell_suspects(found: dict[str, Any], path: Path | None) -> None:
    rows = found["suspects"]
    if not rows:
        return
    say(f"{found['suspected']:,} labels are doubtful; the most, and what they may be rather:")
    for row in rows[:SHOWN]:
        say(f"    {row['id']}  {row['label']} → {row['rather']}")
    say(f"    all of them: {path}" if path else "    all of them: --suspects FILE.csv")


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "rather", "doubt"])
    writer.writerows([r["id"], r["label"], r["rather"], f"{r['doubt']:.4f}"] for r in rows)
    return text.getvalue()
