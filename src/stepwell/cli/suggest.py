"""``stepwell suggest``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import (
    check_free,
    data_option,
    emit,
    json_option,
    opened,
    raw_option,
    say,
    tell_labels,
    write_csv,
)

SHOWN = 20


@click.command("suggest")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--n", "count", default=20, show_default=True, help="How many.")
@click.option(
    "--labels",
    help="A CSV of file,label, or the data itself, labelled in part. Default: those of the head.",
)
@click.option("--out", type=click.Path(path_type=Path), help="A .csv file to write and fill in.")
@click.option(
    "--html", type=click.Path(path_type=Path), help="A page with pictures to label on, which saves."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**32 - 1), show_default=True)
@raw_option
@data_option
@json_option
def command(
    run: Path,
    data: str | None,
    count: int,
    labels: str | None,
    out: Path | None,
    html: Path | None,
    overwrite: bool,
    seed: int,
    raw_csv: bool,
    as_json: bool,
) -> None:
    """Which examples of RUN to label next: typical of what no label covers, and unsure.

    --out FILE.csv holds the labels there are, then the suggestions, without one: fill those in,
    and give the file to finetune --labels. --html PAGE.html has their pictures and saves that file.
    """
    from stepwell.interfaces import UsageError
    from stepwell.suggesting import labels_there_are, suggest

    if out is not None and out.suffix != ".csv":
        raise UsageError(f"Expected --out to end in .csv, found {out.name!r}.")
    check_free(out, overwrite)
    check_free(html, overwrite)
    learned = opened(run, data)
    rows = suggest(learned, count, labels, seed=seed)
    known, left = labels_there_are(learned, labels)
    tell_labels(left.how, left.lines())
    if out is not None:
        write_csv(out, *_as_table(known, rows), raw_csv)
    if html is not None:
        from stepwell.reporting import write_labelling_page

        write_labelling_page(learned, rows, known, html)
    if as_json:
        return emit(rows)
    for row in rows[: SHOWN if out is None else 5]:
        told = f"  {row['text'][:60]}" if "text" in row else ""
        say(f"typical {row['typical']:.2f}  unsure {row['unsure']:.2f}  {row['id']}{told}")
    if html is not None:
        say(f"page    {html}: label there, save labels.csv")
        say(f"next    stepwell finetune {run} --labels labels.csv")
        return None
    if out is None:
        say(f"next    stepwell suggest {run} --n {count} --out labels.csv, and fill in the labels")
        return None
    say(f"{len(rows):,} to label in {out}; fill in the column label, then:")
    say(f"next    stepwell finetune {run} --labels {out}")
    return None


def _as_table(
    known: Mapping[str, str], rows: list[dict[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    more = ["text"] if any("text" in row for row in rows) else []
    there = [[name, label, *([""] * len(more))] for name, label in known.items()]
    blank = [[row["id"], "", *(row.get(name, "") for name in more)] for row in rows]
    return ["file", "label", *more], there + blank
