"""``stepwell learn``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import (
    Progress,
    emit,
    json_option,
    judged,
    say,
    scorecard,
    source_option,
    told,
)
from stepwell.interfaces import UsageError


def seconds(text: str | None) -> float | None:
    """``90``, ``90s``, ``2m``, ``1.5h`` → seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", text)
    if not match or float(match[1]) <= 0:
        raise UsageError(f"Expected a time such as 90s, 2m or 1h, found {text!r}.")
    return float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[match[2] or "s"]


@click.command("learn")
@click.argument("src")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the run.")
@click.option("--preset", default="default", show_default=True, help="fast, default or large.")
@click.option("--views", help='Views to pair with, e.g. "flip zoom"; default: chosen by itself.')
@click.option("--pretext", help="How pairs are made; default: what suits the data.")
@click.option("--encoder", help="What makes features; default: what suits the data.")
@click.option("--labels", help="Score with labels afterwards: a labelled source, or a CSV.")
@click.option("--test", help="Labelled test set; default: a fifth of --labels.")
@click.option("--seed", default=0, show_default=True)
@click.option("--founders-from", help="A sibling run to share all below the moments with.")
@click.option("--recalibrate/--no-recalibrate", default=True, help="Choose views without labels.")
@click.option("--budget", help="Time, e.g. 90s or 5m: learns from as much as fits.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there already.")
@click.option("--strict", is_flag=True, help="Stop at the first example that can't be read.")
@click.option("--no-report", is_flag=True, help="Leave the page out.")
@click.option("--dry-run", is_flag=True, help="Say what would be read, and what it would take.")
@source_option
@json_option
def command(
    src: str, as_json: bool, dry_run: bool, source_options: tuple[str, ...], **options: Any
) -> None:
    """Learn an encoder from unlabelled data.

    SRC is a folder of images, a .zip or .tar, .npy/.npz, IDX, Parquet or Arrow file.
    """
    from stepwell.learner import learn
    from stepwell.run import Run
    from stepwell.sources import open_source

    source: Any = src
    if source_options:
        sibling = options["founders_from"]
        opened = Run(sibling).open if sibling else open_source
        source = opened(src, strict=options["strict"], **told(source_options))
    budget = seconds(options.pop("budget"))
    if dry_run:
        from stepwell.planning import plan

        return _show_plan(
            plan(source, options["preset"], options["seed"], options["views"]), as_json
        )
    labels, test = options.pop("labels"), options.pop("test")
    report = not options.pop("no_report")
    with Progress(silent=as_json) as observe:
        run = learn(
            source,
            evaluate_with=labels,
            test=test,
            budget=budget,
            report=report,
            observe=observe,
            **options,
        )
    show(run, as_json)
    return None


def _show_plan(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return emit(found)
    for name, value in found.items():
        say(f"{name.replace('_', ' '):>16}  {value}")
    return None


def show(run: Any, as_json: bool) -> None:
    """The result of learning: verdict, scores, where things are, what to type next."""
    from stepwell.reporting import next_commands, warnings
    from stepwell.scoring import read_scores

    scores, config = read_scores(run), run.config
    page = run.path / "report.html"
    if as_json:
        return emit({"run": str(run.path), **scores, "cost": config["cost"], **config["data"]})
    say(scores["verdict"]["sentence"])
    say()
    say(scorecard(scores))
    say()
    for row in config.get("views", []):
        say(f"view {row['name']:<12} {judged(row)}")
    if run.recipe and not config.get("views"):
        say(f"views   {' '.join(run.recipe)}, and no other")
    data, cost = config["data"], config["cost"]
    say(
        f"\n{data['examples']:,} examples, {data['skipped']:,} set aside; "
        f"{cost['seconds']:.0f} s, {cost['cpu_seconds']:.0f} CPU s, {cost['peak_mb']:,.0f} MB"
    )
    for row in config.get("skipped", [])[:5]:
        say(f"  set aside: {row['id']!r}: {row['reason']}")
    for warning in warnings(config):
        say(f"note    {warning}")
    say(f"run     {run.path}")
    if page.exists():
        say(f"report  {page}")
    say(f"next    {next_commands(run, str(run.index[0][0]))[0]['command']}")
    return None
