"""``stepwell status``."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

import click

from stepwell.cli.console import emit, json_option, note, say, table
from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.folders import recover, targets_in
from stepwell.resuming import going_on, unfinished


@click.command("status")
@click.argument("where", type=click.Path(path_type=Path), default="runs")
@json_option
def command(where: Path, as_json: bool) -> None:
    """What the run at WHERE is; or all runs below that folder."""
    told = _tidied(where)
    for line in told:
        note(line)
    if unfinished(where) and not where.is_dir():
        raise StepwellError(
            f"A training was stopped at {where}: `{going_on(where)}` goes on with it."
        )
    if not where.is_dir():
        raise UsageError(f"Expected a run or a folder of runs, found nothing at {where}.")
    one = (where / "config.toml").is_file()
    paths = [where] if one else sorted(p.parent for p in where.glob("[!.]*/config.toml"))
    rows = [_facts(path) | (_phases(path) if one else {}) for path in paths]
    if as_json:
        return emit(rows[0] if one else rows)
    if not rows:
        say(f"no runs in {where}; `stepwell learn SRC --out {where}/NAME` makes one")
    elif one:
        for name, value in rows[0].items():
            for place, line in enumerate(value if isinstance(value, list) else [value]):
                say(f"{'' if place else name:>12}  {line}")
    else:
        names = ["run", "created", "examples", "seconds", "verdict"]
        say(table([[shorten(str(row.get(n, "")), 72) for n in names] for row in rows], names))
    for left in sorted(where.glob(".*.training")):
        run = where / left.name.removeprefix(".").removesuffix(".training")
        say(f"stopped: {run} (go on with: {going_on(run)})")
    for left in sorted(where.glob(".*.partial")):
        say(f"unfinished: {left.name} (a process is at it)")
    return None


def _tidied(where: Path) -> list[str]:
    """What interrupted commands left of a run, or of those in a folder: brought back or cleared
    away, and told."""
    where = where.absolute()
    places = {where, *targets_in(where), *targets_in(where.parent / where.name)}
    found = [(target, recover(target)) for target in sorted(places)]
    return [f"{target}: {what}" for target, what in found if what]


def _facts(path: Path) -> dict[str, Any]:
    from stepwell.run import load
    from stepwell.runfile import trained_on
    from stepwell.scoring import read_scores

    try:
        run = load(path)
        scores = read_scores(run)
    except StepwellError as error:
        return {"run": path.name, "verdict": str(error)}
    config = run.config
    return {
        "run": path.name,
        "created": config["created"][:16].replace("T", " "),
        "source": config["source"].get("path", config["source"]["name"]),
        "examples": config["data"]["examples"],
        "skipped": config["data"]["skipped"],
        "dimensions": config["choice"]["k"],
        "pretext": f"{config['learn']['pretext']} {' + '.join(run.recipe)}".strip(),
        **({"network": trained_on(config)} if config.get("train") else {}),
        "seconds": config["cost"]["seconds"],
        "verdict": scores.get("verdict", {}).get("sentence", "no scores"),
    }


def _phases(path: Path) -> dict[str, Any]:
    from stepwell.run import load

    try:
        rows = load(path).phases
    except StepwellError as error:
        return {"phases": [str(error)]}
    return {"phases": [f"{row['phase']}: {'; '.join(row['evidence'])}" for row in rows]}
