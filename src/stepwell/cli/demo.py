"""``stepwell demo``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from stepwell.cli.console import Progress, json_option, say
from stepwell.cli.learn import show


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"))
@click.option("--data", type=click.Path(path_type=Path), help="Fashion-MNIST's folder.")
@click.option("--examples", default=10_000, show_default=True, help="At most so many.")
@click.option("--download", is_flag=True, help="Fetch Fashion-MNIST (30 MB) if it isn't here.")
@json_option
def command(out: Path, data: Path | None, examples: int, download: bool, as_json: bool) -> None:
    """The whole story on real images, in a minute.

    Fashion-MNIST where it is on this machine or with --download; else scikit-learn's
    digits. Learns without labels, then scores with them.
    """
    begun = time.perf_counter()
    from stepwell.demonstration import demo_data, guard
    from stepwell.learner import learn

    guard(out)
    found = demo_data(data, examples, out, download=download)
    if not as_json:
        say(f"data    {found.what}")
    with Progress(silent=as_json) as observe:
        run = learn(
            found.train,
            out,
            preset="fast",
            evaluate_with=found.train,
            test=found.test,
            overwrite=True,
            observe=observe,
        )
    show(run, as_json, time.perf_counter() - begun)
