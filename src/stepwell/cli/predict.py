"""``stepwell predict``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import click

from stepwell.cli.console import (
    check_free,
    data_option,
    emit,
    json_option,
    note,
    opened,
    raw_option,
    say,
    tell_source,
    write_csv,
)
from stepwell.interfaces import Skipped, UsageError

SHOWN = 20


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("src", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="A .csv file to write.")
@click.option("--why", is_flag=True, help="Of texts: the words that spoke for it.")
@click.option(
    "--coverage",
    type=float,
    help="How often the set of labels holds the right one; default .9, with labels enough.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@raw_option
@data_option
@json_option
def command(
    run: Path,
    data: str | None,
    src: tuple[str, ...],
    out: Path | None,
    why: bool,
    coverage: float | None,
    overwrite: bool,
    raw_csv: bool,
    as_json: bool,
) -> None:
    """Labels of SRC, as RUN was fine-tuned to tell them, and which had better not be believed.

    SRC: files or folders, one or more, a text in words, or - for lines of text that are piped. A
    label is marked with ? and the reason where it is too unsure for a stated share of mistakes
    among the others (one in ten, or what --coverage leaves), or where nothing like the example was
    learned from.
    """
    if out is not None and out.suffix != ".csv":
        raise UsageError(f"Expected --out to end in .csv, found {out.name!r}.")
    check_free(out, overwrite)
    learned = opened(run, data)
    text = learned.config["source"]["kind"] == "text"
    if why and not text:
        raise UsageError("Expected texts for --why, found a run of something else: leave it out.")
    if "-" in src and not text:
        raise UsageError("Expected a run of texts for - (what is piped), found one of images.")
    rows: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    for each in src:
        found, aside = _told(learned, each, len(src) > 1, why=why, coverage=coverage)
        rows, skipped = rows + found, skipped + aside
    if not any(row["label"] is not None for row in rows):
        raise UsageError(
            f"Expected examples to tell labels of, found none that can be read in {' '.join(src)}."
        )
    if out is not None:
        write_csv(out, *_as_table(rows), raw_csv)
    if as_json:
        return emit([*rows, *_set_aside(skipped)])
    if out is not None:
        say(f"{len(rows):,} labels in {out}")
        return _tell_abstained(learned, rows)
    for row in rows[:SHOWN]:
        say(_line(row))
    if len(rows) > SHOWN:
        say(f"… and {len(rows) - SHOWN:,} more: add --out FILE.csv, or --json")
    return _tell_abstained(learned, rows)


def _told(
    learned: Any, src: str, several: bool, **options: Any
) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """Rows of what a word of the command line means, and what of it can't be read."""
    from stepwell.predicting import called, predict

    piped = _piped() if src == "-" else None
    asked: Any = learned.asked(src, word=True)
    if piped is not None:
        asked = [line for line in piped if line]
    elif isinstance(asked, list) and " " not in src:
        note(f"note    no file is called {src!r}: it is taken as a text")
    source = learned.open(asked)
    rows = list(predict(learned, source, **options))
    tell_source(source)
    if piped is not None:
        return _numbered(piped, rows), []
    return (called(rows, src) if several else rows), list(source.skipped)


def _numbered(lines: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a line, by its number and with its text; none of an empty one."""
    found = {int(row["id"].rpartition("=")[2]): row for row in rows}
    told: list[dict[str, Any]] = []
    full = -1
    for number, line in enumerate(lines, 1):
        full += bool(line)
        row = found.get(full) if line else None
        why = "an empty line" if not line else "not read"
        row = {**_nothing(), "abstain": why} if row is None else row
        told.append(row | {"id": f"line={number}", "text": line})
    return told


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(("label", "probability", "set", "typical"))


def _line(row: dict[str, Any]) -> str:
    """What is printed of an example."""
    if row["label"] is None:
        return f"–  {row['id']}  ({row['abstain']})"
    told = " · ".join(word for word, _ in row.get("words", ()))
    doubt = f"  ? {row['abstain']}" if row["abstain"] else ""
    words = f"  ({told})" if told else ""
    text = f"  {shorten(row['text'], 60)}" if "text" in row else ""
    return f"{row['label']}  {row['probability']:.2f}  {row['id']}{text}{words}{doubt}"


def _set_aside(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """Rows of what can't be read: it has no label, and says why."""
    return [
        {"id": each.id, **_nothing(), "abstain": f"not read: {each.reason}"} for each in skipped
    ]


def _tell_abstained(run: Any, rows: list[dict[str, Any]]) -> None:
    from statistics import median

    from stepwell.predicting import together

    rows = [row for row in rows if row["label"] is not None]
    doubtful = sum(bool(row["abstain"]) for row in rows)
    if doubtful and len(rows) > 1:
        say(f"{doubtful:,} of {len(rows):,} had better not be believed: marked with ?, and why")
    if together(run, rows):
        share = min(1 - median(row["typical"] for row in rows), 0.99)
        say(
            f"together they are unlike what was learned from (half of them stranger than "
            f"{share:.0%} of it): expect more mistakes than labels held back showed"
        )
    if rows[0]["set"] is None:
        say("too few labels could be held back to promise sets that hold the right one")


def _piped() -> list[str]:
    """Lines of what is piped, empty ones too."""
    lines = [line.strip() for line in sys.stdin]
    if not any(lines):
        raise UsageError("Expected lines of text that are piped, found none.")
    return lines


def _as_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    some = next(row for row in rows if row["label"] is not None)
    more = [name for name in ("words", "text") if any(name in row for row in rows)]
    doubt = ["set", "typical", "abstain"]
    shares = [f"share:{name}" for name in some["shares"]]  # a class may be called label
    head = ["file", "label", "probability", *shares, *doubt, *more]
    return head, [_cells(row, len(shares), more) for row in rows]


def _cells(row: dict[str, Any], classes: int, more: Sequence[str]) -> list[str]:
    words = [" ".join(word for word, _ in row.get("words", ()))] if "words" in more else []
    words += [row.get("text", "")] if "text" in more else []
    if row["label"] is None:
        return [row["id"], *[""] * (classes + 4), row["abstain"], *words]
    shares = [f"{value:.6f}" for value in row["shares"].values()]
    told = [row["id"], row["label"], f"{row['probability']:.6f}", *shares]
    typical = "" if row["typical"] is None else f"{row['typical']:.4f}"
    return [*told, "|".join(row["set"] or ()), typical, row["abstain"], *words]
