"""``stepwell steps``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import emit, json_option, say, table

PAUSE_S = 1.0
"""Between two looks at a run that goes on."""


@click.command("steps")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="Go on while the run goes on.")
@click.option("--labels", help="Also tell what each step knows of these labels, in bits.")
@json_option
def command(run: Path, follow: bool, labels: str | None, as_json: bool) -> None:
    """The steps of learning: which dimension came when, and what it sees.

    RUN is a run, one that is being learned, or any folder with a steps.jsonl that holds
    spectra, such as those of the convnets of `stepwell theory`.
    """
    from stepwell.timeline import live, whole

    if follow:
        _follow(run, as_json)
    if follow and not (run / "config.toml").is_file():
        return None
    rows = whole(run, labels) if (run / "config.toml").is_file() else live(run)["steps"]
    if as_json:
        return emit(rows)
    if not rows:
        say("No step was found: no eigenvalue rose beyond noise to a plateau.")
    for line in lines_of(rows):
        say(line)
    return None


def _follow(run: Path, as_json: bool) -> None:
    """Tell steps as they come, and when the next is expected, until the run is whole."""
    from stepwell.timeline import live, log_of

    told: set[tuple[str, int]] = set()
    last, still = "", 0
    while not (run / "config.toml").is_file():
        if log_of(run) is None and still > 5:
            raise click.UsageError(f"Expected a run that is being learned, found none at {run}.")
        found = live(run)
        for row in found["steps"]:
            if (row["clock"], row["dimension"]) not in told:
                told.add((row["clock"], row["dimension"]))
                emit(row) if as_json else say(_line(row))
        if found["next"] != last and not as_json:
            say(f"  {found['next']}")
        still = still + 1 if found["next"] == last else 0
        last = found["next"]
        if found["ended"]:
            return
        time.sleep(PAUSE_S)


def _line(row: Mapping[str, Any]) -> str:
    return (
        f"step {row['step']}: dimension {row['dimension']} at {row['time']:,.4g}, "
        f"confidence {row['confidence']:.3f}"
    )


def lines_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table for each clock."""
    from stepwell.timeline import CLOCKS

    lines = []
    for clock in dict.fromkeys(row["clock"] for row in rows):
        some = [row for row in rows if row["clock"] == clock]
        bits = any("bits" in row for row in some)
        head = ["step", "dimension", "at", "confidence", *(["bits"] if bits else []), "sees"]
        cells = [
            [
                str(row["step"]),
                str(row["dimension"]),
                f"{row['time']:,.4g}",
                f"{row['confidence']:.3f}",
                *([f"{row.get('bits', 0):.2f}"] if bits else []),
                row.get("sees", ""),
            ]
            for row in some
        ]
        lines += [CLOCKS.get(clock, clock), "", table(cells, head, words=(len(head) - 1,)), ""]
    return lines[:-1]
