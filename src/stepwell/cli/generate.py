"""``stepwell generate``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stepwell.cli.console import emit, json_option
from stepwell.kit.escape import for_terminal


@click.command("generate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="What the text begins with; default: nothing.")
@click.option("--length", default=400, show_default=True, help="Signs, at most.")
@click.option("--temperature", default=1.0, show_default=True, help="0: always the likeliest.")
@click.option("--top-p", default=1.0, show_default=True, help="Only the likeliest of this share.")
@click.option("--seed", default=0, type=click.IntRange(0), show_default=True)
@click.option("--fill", is_flag=True, help="Where a text ends, begin another, up to --length.")
@click.option("--stream", is_flag=True, help="Print signs as they come.")
@json_option
def command(
    run: Path,
    prompt: str,
    length: int,
    temperature: float,
    top_p: float,
    seed: int,
    fill: bool,
    stream: bool,
    as_json: bool,
) -> None:
    """Go on with PROMPT as the texts of RUN would, until such a text ends."""
    from stepwell.generating import go_on
    from stepwell.run import load

    options = {"temperature": temperature, "top_p": top_p, "seed": seed, "fill": fill}
    signs = go_on(load(run), prompt, length, **options)
    if as_json:
        return emit({"prompt": prompt, "text": "".join(signs), **options})
    shown = for_terminal if sys.stdout.isatty() else str  # what is piped is the text itself
    click.echo(shown(prompt), nl=False)
    for sign in signs if stream else ("".join(signs),):
        click.echo(shown(sign), nl=False)
    click.echo()
    return None
