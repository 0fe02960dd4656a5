"""``stepwell predict``."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import check_free, emit, json_option, say
from stepwell.interfaces import UsageError

SHOWN = 20


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("src")
@click.option("--out", type=click.Path(path_type=Path), help="A .csv file to write.")
@click.option("--why", is_flag=True, help="Of texts: the words that spoke for it.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@json_option
def command(
    run: Path, src: str, out: Path | None, why: bool, overwrite: bool, as_json: bool
) -> None:
    """Labels of SRC, as RUN was fine-tuned to tell them.

    SRC: files, a text in words, or - for lines of text that are piped.
    """
    from stepwell.finetuning import predict
    from stepwell.kit.files import write_atomic
    from stepwell.run import load

    if out is not None and out.suffix != ".csv":
        raise UsageError(f"Expected --out to end in .csv, found {out.name!r}.")
    check_free(out, overwrite)
    learned = load(run)
    text = learned.config["source"]["kind"] == "text"
    if why and not text:
        raise UsageError("Expected texts for --why, found a run of something else: leave it out.")
    asked: Any = _piped() if src == "-" and text else learned.asked(src, word=True)
    if isinstance(asked, list) and " " not in src and src != "-":
        click.echo(f"note    no file is called {src!r}: it is taken as a text", err=True)
    rows = list(predict(learned, asked, why=why))
    if not rows:
        raise UsageError(
            f"Expected examples to tell labels of, found none that can be read in {src}."
        )
    if out is not None:
        write_atomic(out, _as_csv(rows))
    if as_json:
        return emit(rows)
    if out is not None:
        say(f"{len(rows):,} labels in {out}")
        return None
    for row in rows[:SHOWN]:
        told = " · ".join(word for word, _ in row.get("words", ()))
        say(f"{row['label']}  {row['probability']:.2f}  {row['id']}{f'  ({told})' if told else ''}")
    if len(rows) > SHOWN:
        say(f"… and {len(rows) - SHOWN:,} more: add --out FILE.csv, or --json")
    return None


def _piped() -> list[str]:
    """Lines of what is piped."""
    lines = [line.strip() for line in sys.stdin if line.strip()]
    if not lines:
        raise UsageError("Expected lines of text that are piped, found none.")
    return lines


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    classes = list(rows[0]["shares"])
    writer = csv.writer(text, lineterminator="\n")
    more = ["words"] if "words" in rows[0] else []
    writer.writerow(["file", "label", "probability", *classes, *more])
    for row in rows:
        shares = [f"{value:.6f}" for value in row["shares"].values()]
        words = [" ".join(word for word, _ in row["words"])] if more else []
        writer.writerow([row["id"], row["label"], f"{row['probability']:.6f}", *shares, *words])
    return text.getvalue()
