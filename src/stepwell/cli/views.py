"""``stepwell views``."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.cli.console import Progress, emit, json_option, judged, say, source_option, told


@click.command("views")
@click.argument("src")
@click.option("--out", type=click.Path(path_type=Path), default=Path("views.png"))
@click.option("--view", "names", multiple=True, help='Only these, e.g. "crop:0.8 brightness:0.3".')
@click.option("--judge/--no-judge", default=True, help="Measure which views are safe (seconds).")
@click.option("--seed", default=0, show_default=True)
@source_option
@json_option
def command(
    src: str,
    out: Path,
    names: tuple[str, ...],
    judge: bool,
    seed: int,
    source_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look at the augmentations on your own data: a contact sheet, a row a view.

    Beside each view that learning may choose from: how often it stays nearer to its own
    example than that example's neighbour is, the least that is asked for, and whether the
    view is used.
    """
    from stepwell.sheet import contact_sheet
    from stepwell.sources import open_source

    source = open_source(src, **told(source_options))
    with Progress(silent=as_json) as observe:
        rows = contact_sheet(source, out, names=names, judge=judge, seed=seed, observe=observe)
    if as_json:
        return emit({"sheet": str(out), "views": rows})
    for row in rows:
        say(f"{row['name']:<16} {judged(row) if 'why' in row else row.get('summary', '')}")
    say(f"sheet   {out}")
    return None
