"""What every verb prints with: progress, JSON, errors."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from stepwell.kit.escape import for_json, for_terminal

TITLES = {
    "list": "listing",
    "found": "reading founders",
    "fit": "fitting the encoder",
    "view": "choosing views",
    "learn": "learning",
    "solve": "choosing and solving",
    "embed": "embedding",
    "evaluate": "scoring with labels",
    "score": "scoring",
    "report": "drawing the report",
    "theory": "figures",
    "decode": "decoding",
    "train": "training",
    "control": "training the control on shuffled pairs",
    "tune": "fine-tuning",
    "search": "comparing short trainings",
    "robust": "making examples worse",
}
PHASES = {
    "absorbing": ("list", "found", "fit", "decode", "learn", "train"),
    "regulating itself": ("control",),
    "comparing and recalibrating": ("view", "solve", "choice", "search"),
    "getting ready": ("embed", "score"),
}
"""Of a run, by events."""
ASIDE = ("spectrum", "regulate")
"""Events that interrupt no progress."""
QUIET_S = 2.0
"""Nothing is printed about anything shorter than this."""
PAUSE_S = 5.0
"""Between plain lines; on a terminal the line renews itself all the time."""

json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def fail(message: str, code: int) -> NoReturn:
    """Print an error and leave; as JSON where ``--json`` was asked for."""
    if "--json" in sys.argv:
        emit({"error": message, "code": code})
    else:
        words = for_terminal(f"stepwell: {message}")
        click.secho(words, fg="red" if sys.stderr.isatty() else None, err=True)
    sys.exit(code)


def say(text: str = "") -> None:
    """A line for the reader; names of files and the like only show, whatever is in them."""
    click.echo(for_terminal(text))


def note(text: str) -> None:
    """A line beside what is printed, so that it can be piped."""
    click.echo(for_terminal(text), err=True)


raw_option = click.option(
    "--raw-csv", is_flag=True, help="No apostrophe before cells that a spreadsheet would compute."
)


def write_csv(out: Path, head: Sequence[str], rows: Sequence[Sequence[Any]], raw: bool) -> None:
    """A table, with a word of the cells that were quoted."""
    from stepwell.kit.escape import formulas
    from stepwell.kit.files import csv_text, write_atomic

    write_atomic(out, csv_text(head, rows, raw=raw))
    tell_quoted(0 if raw else formulas([head, *rows]), out)


def tell_quoted(count: int, out: Path) -> None:
    """A word of cells that were quoted, so that no spreadsheet computes them."""
    if count:
        cells = f"{count:,} cells of {out} begin" if count > 1 else f"1 cell of {out} begins"
        note(
            f"note    {cells} with an apostrophe now: a spreadsheet would compute "
            f"{'them' if count > 1 else 'it'} (--raw-csv leaves {'them' if count > 1 else 'it'})"
        )


def check_free(out: Path | None, overwrite: bool) -> None:
    """Raise where a file is there already, unless it may be replaced.

    Raises
    ------
    UsageError
    """
    from stepwell.interfaces import UsageError

    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"Expected a free name, found a file at {out}: add --overwrite.")


def emit(content: Mapping[str, Any] | list[Any]) -> None:
    """JSON on standard output."""
    from stepwell.kit.files import json_text

    click.echo(for_json(json_text(content)))


class Progress:
    """``observe`` for people: rate, ETA and wait-for-data on anything over two seconds.

    One line that renews itself on a terminal, a plain line every few seconds elsewhere, from
    a thread of its own: also while a step has nothing to tell. Everything goes to standard
    error, so that output can be piped.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self._live = sys.stderr.isatty()
        self._pause = 0.2 if self._live else PAUSE_S
        self._now: tuple[str, Mapping[str, Any], float] | None = None
        self._done, self._open, self._silent = threading.Event(), False, silent
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._kept, self._first = "", 0

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        if event == "kept":
            self._kept = str(facts["path"])
            return
        if event in ASIDE:  # told in the middle of something that goes on
            return
        same = self._now is not None and self._now[0] == event
        begin = self._now[2] if same and self._now else time.perf_counter()
        self._first = self._first if same else int(facts.get("done", 0))
        self._now = (event, facts, begin)

    def _tell(self) -> None:
        while not self._done.wait(self._pause):
            if self._now is None:
                continue
            event, facts, begin = self._now
            elapsed = time.perf_counter() - begin
            if elapsed >= QUIET_S:
                self._print(f"{titled(event)}: {describe(facts, elapsed, self._first)}")
            elif self._open:
                self._print("")

    def _print(self, line: str) -> None:
        line = for_terminal(line)
        sys.stderr.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        sys.stderr.flush()
        self._open = self._live and bool(line)

    def __enter__(self) -> Callable[[str, Mapping[str, Any]], None]:
        if not self._silent:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._done.set()
        if not self._silent:
            self._thread.join()
        if self._open:
            self._print("")
        if kind is KeyboardInterrupt and self._kept:
            from stepwell.resuming import going_on

            note(f"stopped; go on with: {going_on(Path(self._kept))}")


def titled(event: str) -> str:
    """``absorbing · learning``: the phase a run is in, and what it does."""
    title = TITLES.get(event, event)
    phase = next((name for name, events in PHASES.items() if event in events), None)
    return title if phase is None else f"{phase} · {title}"


def describe(facts: Mapping[str, Any], elapsed: float, first: int = 0) -> str:
    """``12,000 of 50,000 · 410/s · 93 s left · waiting for data 2 %``.

    ``first``: how many were done when ``elapsed`` began.
    """
    done, of = facts.get("done"), facts.get("of")
    if not done:
        return f"{facts['found']:,} found" if "found" in facts else f"{elapsed:.0f} s"
    rate = max(done - first, 1) / max(elapsed, 1e-9)
    words = [f"{done:,} of {of:,}" if of else f"{done:,}"]
    words.append(f"{rate:,.0f}/s" if rate >= 1 else f"{rate:.2f}/s")
    if of and done:
        words.append(f"{(of - done) / rate:,.0f} s left")
    if "loss" in facts:
        chance = f" (chance {facts['chance']:.3g})" if "chance" in facts else ""
        words.append(f"loss {facts['loss']:.4g}{chance}")
    if "rank" in facts:
        words.append(f"rank {facts['rank']:.1f}")
    if "knn" in facts:
        controls = f"raw {facts['knn raw']:.1f}, first weights {facts['knn first']:.1f}"
        words.append(f"kNN {facts['knn']:.1f} ({controls})")
    if facts.get("next"):
        words.append(facts["next"])
    if "wait" in facts:
        words.append(f"waiting for data {facts['wait']:.0%}")
    return " · ".join(words)


source_option = click.option(
    "-o",
    "--option",
    "source_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the source: canvas=64, split=test, column=photo, unit=line, group_by=REGEX …",
)


def told(options: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` words as keywords: whole numbers and yes/no as such."""
    found: dict[str, Any] = {}
    for word in options:
        name, mark, value = word.partition("=")
        if not mark or not name:
            raise click.UsageError(
                f"Expected NAME=VALUE after -o, found {word!r}: write -o canvas=64."
            )
        plain = {"true": True, "yes": True, "false": False, "no": False}
        known = int(value) if value.lstrip("-").isdigit() else plain.get(value.lower(), value)
        found[name.replace("-", "_")] = known
    return found


def judged(row: Mapping[str, Any]) -> str:
    """What the choice of views found about one: ``kept 0.93, …: used``."""
    rate = f"kept {row['kept']:.2f}, at least {row['bar']:.2f} asked; " if "kept" in row else ""
    return f"{rate}{row['why']}"


def table(rows: list[list[str]], head: list[str], words: Collection[int] = (0,)) -> str:
    """Columns aligned with spaces; figures to the right, columns of ``words`` to the left."""
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for number, row in enumerate(cells):
        parts = [
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
        if number == 0:
            lines.append("  ".join("─" * width for width in widths))
    return "\n".join(lines)


WIDEST = 10
"""Classes that a table has columns for."""


def scorecard(scores: Mapping[str, Any]) -> str:
    """Scores beside the controls, as text."""
    rows = scores.get("labelled", [])
    blocks = []
    if rows:
        budgets = list(dict.fromkeys(str(r["labels"]) for r in rows))
        for reader, title in (("knn", "kNN accuracy, %"), ("probe", "linear probe, %")):
            found = {(r["name"], str(r["labels"])): r for r in rows if r["reader"] == reader}
            names = list(dict.fromkeys(r["name"] for r in rows))
            lines = [[n, *(_cell(found.get((n, b))) for b in budgets)] for n in names]
            blocks.append(table(lines, [title, *(f"{b} labels" for b in budgets)]))
    if scores.get("head"):
        blocks.append(_heads(scores["head"]))
    if scores.get("confusion"):
        blocks.append(_confusion(scores["confusion"]))
    if scores.get("retrieval"):
        lines = [[r["name"], _cell(r)] for r in scores["retrieval"]]
        blocks.append(table(lines, ["view retrieval, % (no labels)", "found"]))
    if scores.get("bits"):
        lines = [[name, f"{value:.2f}"] for name, value in scores["bits"].items()]
        blocks.append(table(lines, ["bits a sign of held-out texts", "cost"]))
    if scores.get("translation"):
        lines = [[name, f"{value:.1f}"] for name, value in scores["translation"].items()]
        blocks.append(table(lines, ["translation of held-out pairs", "BLEU"]))
    return "\n\n".join(blocks)


def _heads(rows: Sequence[Mapping[str, Any]]) -> str:
    """The head that fine-tuning would fit, by labels a class."""
    lines = [
        ["accuracy", *(_cell(row) for row in rows)],
        ["mean of classes", *(f"{row['balanced']:.1f}" for row in rows)],
    ]
    return table(lines, ["stepwell finetune, %", *(f"{row['labels']} labels" for row in rows)])


def _confusion(found: Mapping[str, Any]) -> str:
    """What it takes for what, a row a true class; of many classes the commonest mistakes."""
    names, counts = found["classes"], found["counts"]
    if len(names) <= WIDEST:
        lines = [[name, *map(str, row)] for name, row in zip(names, counts, strict=True)]
        return table(lines, [f"told with {found['labels']} labels", *names])
    wrong = sorted(
        ((counts[i][j], a, b) for i, a in enumerate(names) for j, b in enumerate(names) if i != j),
        reverse=True,
    )[:WIDEST]
    lines = [[f"{a} told as {b}", str(n)] for n, a, b in wrong if n]
    return table(lines, [f"told with {found['labels']} labels", "times"]) if lines else ""


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return f"{row['value']:.1f} ±{(row['high'] - row['low']) / 2:.1f}"


def tell_source(source: Any, *, aside: bool = True) -> None:
    """What was chosen of how to read a source, and what of it was left out: beside what is printed,
    so that ``--json`` stays whole."""
    from stepwell.sources.facts import facts_of, lines_of

    skipped = [vars(each) for each in source.skipped] if aside else []
    for line in lines_of(facts_of(source), skipped):
        note(f"read    {line}")


def tell_labels(how: Mapping[str, Any], left: Sequence[str] = ()) -> None:
    """How labels were read: the columns of a table, or what was chosen of a source; and what of
    them was guessed or left out."""
    from stepwell.sources.facts import lines_of

    if "decisions" in how:
        for line in lines_of(how):
            note(f"read    {line}")
    elif how:
        note(f"read    labels     {', '.join(f'{name} {value!r}' for name, value in how.items())}")
    for line in left:
        note(f"labels  {line}")


data_option = click.option(
    "--source",
    "data",
    help="The data RUN was learned from, where it has moved, or where another machine learned it.",
)


def opened(run: Path, data: str | None = None) -> Any:
    """A run; with a word where its data is not read as somebody else's run names it."""
    from stepwell.run import load

    found = load(run, source=data)
    path = found.config["source"].get("path")
    if data is None and path and not found.made_here:
        note(
            f"note    not learned by you on this machine: its data, {path}, is not read unless you "
            f"give it, --source PATH"
        )
    return found
