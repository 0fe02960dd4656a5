"""``stepwell report``."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.cli.console import Progress, emit, json_option, say


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--src", help="Where the data is now; default: where it was.")
@json_option
def command(run: Path, src: str | None, as_json: bool) -> None:
    """Write the page of a run anew, with its newest scores."""
    from stepwell.run import load

    with Progress(silent=as_json) as observe:
        observe("report", {})
        page = load(run).report(src)
    if as_json:
        return emit({"report": str(page)})
    say(f"report  {page}")
    return None
