"""``stepwell predict``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
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
@click.argument("src")
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
    src: str,
    out: Path | None,
    why: bool,
    coverage: float | None,
    overwrite: bool,
    raw_csv: bool,
    as_json: bool,
) -> None:
    """Labels of SRC, as RUN was fine-tuned to tell them, and which had better not be believed.

    SRC: files, a text in words, or - for lines of text that are piped. A label is marked with ?
    and the reason where several are likely (its set, which holds the right one as often as
    --coverage promises), or where nothing like the example was learned from.
    """
    from stepwell.predicting import predict

    if out is not None and out.suffix != ".csv":
        raise UsageError(f"Expected --out to end in .csv, found {out.name!r}.")
    check_free(out, overwrite)
    learned = opened(run, data)
    text = learned.config["source"]["kind"] == "text"
    if why and not text:
        raise UsageError("Expected texts for --why, found a run of something else: leave it out.")
    if src == "-" and not text:
        raise UsageError("Expected a run of texts for - (what is piped), found one of images.")
    asked: Any = _piped() if src == "-" else learned.asked(src, word=True)
    if isinstance(asked, list) and " " not in src and src != "-":
        note(f"note    no file is called {src!r}: it is taken as a text")
    source = learned.open(asked)
    rows = list(predict(learned, source, why=why, coverage=coverage))
    tell_source(source)
    if not rows:
        raise UsageError(
            f"Expected examples to tell labels of, found none that can be read in {src}."
        )
    if out is not None:
        write_csv(out, *_as_table(rows), raw_csv)
    if as_json:
        return emit([*rows, *_set_aside(source.skipped)])
    if out is not None:
        say(f"{len(rows):,} labels in {out}")
        return _tell_abstained(learned, rows)
    for row in rows[:SHOWN]:
        told = " · ".join(word for word, _ in row.get("words", ()))
        doubt = f"  ? {row['abstain']}" if row["abstain"] else ""
        words = f"  ({told})" if told else ""
        say(f"{row['label']}  {row['probability']:.2f}  {row['id']}{words}{doubt}")
    if len(rows) > SHOWN:
        say(f"… and {len(rows) - SHOWN:,} more: add --out FILE.csv, or --json")
    return _tell_abstained(learned, rows)


def _set_aside(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """Rows of what can't be read: it has no label, and says why."""
    none = dict.fromkeys(("label", "probability", "set", "typical"))
    return [{"id": each.id, **none, "abstain": f"not read: {each.reason}"} for each in skipped]


def _tell_abstained(run: Any, rows: list[dict[str, Any]]) -> None:
    from statistics import median

    from stepwell.predicting import together

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
    """Lines of what is piped."""
    lines = [line.strip() for line in sys.stdin if line.strip()]
    if not lines:
        raise UsageError("Expected lines of text that are piped, found none.")
    return lines


def _as_table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    more = ["words"] if "words" in rows[0] else []
    doubt = ["set", "typical", "abstain"]
    shares = [f"share:{name}" for name in rows[0]["shares"]]  # a class may be called label
    head = ["file", "label", "probability", *shares, *doubt, *more]
    return head, [_cells(row) for row in rows]


def _cells(row: dict[str, Any]) -> list[str]:
    shares = [f"{value:.6f}" for value in row["shares"].values()]
    words = [" ".join(word for word, _ in row["words"])] if "words" in row else []
    told = [row["id"], row["label"], f"{row['probability']:.6f}", *shares]
    typical = "" if row["typical"] is None else f"{row['typical']:.4f}"
    return [*told, "|".join(row["set"] or ()), typical, row["abstain"], *words]
