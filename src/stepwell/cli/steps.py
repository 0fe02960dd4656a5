"""``stepwell steps``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import data_option, emit, json_option, opened, say, table

PAUSE_S = 1.0
"""Between two looks at a run that goes on."""
PATIENCE_S = 5.0
"""A run that is about to begin is waited for so long."""


@click.command("steps")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="Go on while the run goes on.")
@click.option("--labels", help="Also tell what each step knows of these labels, in bits.")
@data_option
@json_option
def command(run: Path, data: str | None, follow: bool, labels: str | None, as_json: bool) -> None:
    """The steps of learning: which dimension came when, and what it sees.

    RUN is a run, one that is being learned, or any folder with a steps.jsonl that holds
    spectra, such as those of the convnets of `stepwell theory`.
    """
    from stepwell.timeline import live

    if follow and labels:
        raise click.UsageError(
            "Expected --follow or --labels, found both: what a step tells about labels can be "
            "asked when the run is finished."
        )
    if follow:
        return _follow(run, as_json)
    whole = (run / "config.toml").is_file()
    if labels and not whole:
        raise click.UsageError(
            f"Expected a finished run to weigh labels with, found none at {run}."
        )
    rows = opened(run, data).steps(labels) if whole else live(run)["steps"]
    if as_json:
        return emit(rows)
    if not rows:
        say("No step was found: no eigenvalue rose beyond noise to a plateau.")
    for line in lines_of(rows):
        say(line)
    return None


def _follow(run: Path, as_json: bool) -> None:
    """Tell steps as they come, and when the next is expected, until the run has ended."""
    from stepwell.timeline import CLOCKS, goes_on, live, log_of

    told: set[tuple[str, int]] = set()
    heading, last, begin = "", "", time.perf_counter()
    while True:
        on = goes_on(run)
        if log_of(run) is None and time.perf_counter() - begin < PATIENCE_S:
            time.sleep(PAUSE_S)
            continue
        found = live(run)
        for row in found["steps"]:
            if (row["clock"], row["dimension"]) in told:
                continue
            told.add((row["clock"], row["dimension"]))
            if as_json:
                emit(row)
                continue
            if row["clock"] != heading:
                heading = row["clock"]
                say(CLOCKS.get(heading, heading))
            say(f"  step {row['label']}: dimension {row['dimension']} at {row['time']:,.4g}")
        if found["next"] != last and not as_json:
            say(f"  {found['next']}")
        last = found["next"]
        if not on:
            break
        time.sleep(PAUSE_S)
    if not as_json:
        say(f"It has ended: stepwell steps {run}")


def lines_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table for each clock."""
    from stepwell.timeline import CLOCKS

    lines = []
    for clock in dict.fromkeys(row["clock"] for row in rows):
        some = [row for row in rows if row["clock"] == clock]
        bits = any("bits" in row for row in some)
        head = ["step", "dimension", "at", *(["bits"] if bits else []), "sees"]
        cells = [
            [
                row["label"],
                str(row["dimension"]),
                f"{row['time']:,.4g}",
                *([f"{row.get('bits', 0):.2f}"] if bits else []),
                row.get("sees", ""),
            ]
            for row in some
        ]
        lines += [CLOCKS.get(clock, clock), "", table(cells, head, words=(len(head) - 1,))]
        if any(row["label"] != str(row["step"]) for row in some):
            lines.append(
                "Steps that share a number come almost at once: which is first is not told."
            )
        lines.append("")
    return lines[:-1]
