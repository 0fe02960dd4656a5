"""``stepwell report``."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.cli.console import Progress, data_option, emit, json_option, opened, say


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--src", help="The same as --source.")
@data_option
@json_option
def command(run: Path, src: str | None, data: str | None, as_json: bool) -> None:
    """Write the page of a run anew, with its newest scores."""

    with Progress(silent=as_json) as observe:
        observe("report", {})
        page = opened(run, src or data).report(src or data)
    if as_json:
        return emit({"report": str(page)})
    say(f"report  {page}")
    return None
