"""``stepwell search``."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

import click

from stepwell.cli.console import data_option, emit, json_option, opened, say, table


@click.command("search")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("example")
@click.option("-n", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with pictures.")
@data_option
@json_option
def command(
    run: Path, data: str | None, example: str, n: int, html: Path | None, as_json: bool
) -> None:
    """Find the examples most similar to EXAMPLE: an id of the run, a file, or a text."""

    learned = opened(run, data)
    rows = learned.search(example, n)
    if html is not None:
        from stepwell.reporting import write_search_page

        write_search_page(learned, example, rows, html)
    if as_json:
        return emit(rows)
    lines = [[r["id"], f"{r['cosine']:.3f}", shorten(r.get("text", ""), 70)] for r in rows]
    shown = 3 if any(line[2] for line in lines) else 2
    say(table([line[:shown] for line in lines], ["id", "cosine", "text"][:shown], words=(0, 2)))
    if html is not None:
        say(f"\npage    {html}")
    return None
