"""``stepwell learn``."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from stepwell.cli.console import (
    Progress,
    emit,
    fail,
    json_option,
    judged,
    say,
    scorecard,
    source_option,
    tell_labels,
    told,
)
from stepwell.interfaces import UsageError
from stepwell.kit.ranks import rank


def seconds(text: str | None) -> float | None:
    """``90``, ``90s``, ``2m``, ``1.5h`` → seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", text)
    if not match or float(match[1]) <= 0:
        raise UsageError(f"Expected a time such as 90s, 2m or 1h, found {text!r}.")
    return float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[match[2] or "s"]


PRETEXT_HELP = (
    "two_views, neighbours, missing or order; with --engine gradient also multi_crop, transform, "
    "clusters. On texts missing, order, next and parallel train a transformer."
)
TRAIN: tuple[tuple[str, Any, str], ...] = (
    (
        "objective",
        str,
        "Gradient engine: barlow_twins, simclr, dino, cross_entropy …",
    ),
    ("samples", int, "Gradient engine: examples to train on in all, instead of --budget."),
    ("trials", int, "Short trainings that rate and decay are searched with, without labels."),
    ("batch", int, "Examples an update sees."),
    ("optimizer", str, "A class of torch.optim."),
    ("rate", float, "Highest learning rate."),
    ("decay", float, "Weight decay."),
    ("warmup", float, "Share of the steps over which the rate rises."),
    ("clip", float, "Largest norm of the gradient; 0 never clips."),
    ("accumulate", int, "Parts a batch is computed in."),
    ("precision", str, "32-true, bf16-mixed or 16-mixed."),
    ("device", str, "cpu, cuda or mps."),
)
"""Options of the gradient engine: name, type, help."""


FLAGS = {
    "--compile": ("compiled", "Through torch.compile."),
    "--shard": ("sharded", "Ranks share weights and optimizer (FSDP)."),
    "--no-shuffled": ("unshuffled", "No control on shuffled pairs: half the time."),
}
"""Switches of the gradient engine: field, help."""


def train_options(command: Any) -> Any:
    """Add :data:`TRAIN` to a command."""
    for name, (field, words) in FLAGS.items():
        command = click.option(name, field, is_flag=True, help=words)(command)
    for name, kind, words in reversed(TRAIN):
        command = click.option(f"--{name}", type=kind, help=words)(command)
    return command


def trained(options: dict[str, Any]) -> dict[str, Any]:
    """Options of the gradient engine that were given, taken out of ``options``."""
    found = {name: options.pop(name) for name, _, _ in TRAIN}
    found |= {field: options.pop(field) or None for field, _ in FLAGS.values()}
    found |= {"shuffled": False if found.pop("unshuffled") else None}
    return {name: value for name, value in found.items() if value is not None}


class _Learn(click.Command):
    """``--overwrite`` takes a word or none: what follows it is only its word if it is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Words of the command line, with that of ``--overwrite`` beside it."""
        for place in range(len(args) - 1, -1, -1):
            if args[place] == "--overwrite":
                word = args[place + 1 : place + 2] == ["all"]
                args[place : place + 1 + word] = [f"--overwrite={'all' if word else 'run'}"]
        return super().parse_args(ctx, args)


@click.command("learn", cls=_Learn)
@click.argument("src", required=False)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Go on with a stopped training: where its run will be.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the run.")
@click.option("--preset", default="default", show_default=True, help="fast, default or large.")
@click.option("--views", help='Views to pair with, e.g. "flip zoom"; default: chosen by itself.')
@click.option("--pretext", help=PRETEXT_HELP)
@click.option("--encoder", help="What makes features; default: what suits the data.")
@click.option(
    "--labels", help="Score with labels afterwards: SRC again where folders are classes, or a CSV."
)
@click.option("--test", help="Labelled test set; default: a fifth of --labels.")
@click.option("--seed", default=0, show_default=True)
@click.option("--founders-from", help="A sibling run to share all below the moments with.")
@click.option(
    "--recalibrate",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Choose views, ridge and dimensions without labels; off: the defaults.",
)
@click.option("--budget", help="Time, e.g. 90s or 5m: learns from as much as fits.")
@click.option("--engine", help="spectral (the default, mostly) or gradient.")
@click.option("--source", help="The same as SRC.")
@click.option("--target", help="The translation of each line of SRC: for --pretext parallel.")
@click.option(
    "--backbone",
    help="A network: a model of timm, or package.module:function; for texts a folder that "
    "transformers has saved.",
)
@click.option(
    "--weights", help="Of the backbone: .safetensors, or hub to download; of texts: a run."
)
@train_options
@click.option(
    "--overwrite",
    is_flag=False,
    flag_value="run",
    type=click.Choice(["run", "all"]),
    help="Replace a run that is there already; all: with the head it was fine-tuned to.",
)
@click.option("--strict", is_flag=True, help="Stop at the first example that can't be read.")
@click.option("--no-report", is_flag=True, help="Leave the page out.")
@click.option("--dry-run", is_flag=True, help="Say what would be read, and what it would take.")
@source_option
@json_option
def command(
    src: str | None,
    resume: Path | None,
    as_json: bool,
    dry_run: bool,
    source_options: tuple[str, ...],
    **options: Any,
) -> None:
    """Learn an encoder from unlabelled data.

    SRC is a folder of images, a .zip or .tar, .npy/.npz, IDX, Parquet or Arrow file; or texts: a
    .txt, .csv, .tsv or .jsonl file (also .gz), or a folder of them.
    """
    begun = time.perf_counter()
    from stepwell.learner import learn
    from stepwell.run import Run
    from stepwell.sources import open_source

    if resume is not None:
        return _resume(resume, src, options["backbone"], as_json)
    named = options.pop("source")
    if src is not None and named is not None:
        raise click.UsageError("Expected SRC or --source, found both: leave one of them out.")
    src = named if src is None else src
    if src is None:
        raise click.UsageError("Expected data to learn from, found none: stepwell learn PATH.")
    source: Any = src
    target = options.pop("target")
    if target is not None:
        source_options = (*source_options, f"target={target}")
    if source_options:
        sibling = options["founders_from"]
        opened = Run(sibling).open if sibling else open_source
        source = opened(src, strict=options["strict"], **told(source_options))
    budget = seconds(options.pop("budget"))
    if dry_run and (options["engine"] not in (None, "spectral") or options["backbone"]):
        raise click.UsageError(
            "Expected the spectral engine on patches for --dry-run, found a network: leave "
            "--dry-run out; --budget says how long it may take."
        )
    if dry_run:
        from stepwell.planning import plan

        return _show_plan(
            plan(source, *(options[name] for name in ("preset", "seed", "views", "pretext"))),
            as_json,
        )
    labels, test = options.pop("labels"), options.pop("test")
    report = not options.pop("no_report")
    options["train"] = trained(options)
    options["recalibrate"] = options["recalibrate"] == "on"
    options["overwrite"] = {None: False, "run": True}.get(options["overwrite"], "all")
    with Progress(silent=as_json or rank() > 0) as observe:
        run = learn(
            source,
            evaluate_with=labels,
            test=test,
            budget=budget,
            report=report,
            observe=observe,
            **options,
        )
    show(run, as_json, time.perf_counter() - begun)
    return None


def _resume(path: Path, src: str | None, backbone: str | None, as_json: bool) -> None:
    """Go on; what a stopped training was told holds, whatever else is asked for."""
    begun = time.perf_counter()
    from stepwell.learner import resume

    given = click.get_current_context().get_parameter_source
    names = [p.name for p in click.get_current_context().command.params if p.name]
    extra = [n for n in names if given(n) is ParameterSource.COMMANDLINE]
    extra = [n for n in extra if n not in ("resume", "src", "backbone", "as_json")]
    if extra:
        flags = {field: name for name, (field, _) in FLAGS.items()}
        flag = flags.get(extra[0], f"--{extra[0].replace('_', '-')}")
        raise click.UsageError(
            f"Expected --resume alone, found {flag} too: a training goes on as it was begun. Leave "
            f"that out, or learn anew."
        )
    with Progress(silent=as_json or rank() > 0) as observe:
        run = resume(path, src, backbone=backbone, observe=observe)
    show(run, as_json, time.perf_counter() - begun)


def _show_plan(found: dict[str, Any], as_json: bool) -> None:
    from stepwell.sources.facts import lines_of

    refused = found.get("refused")
    if as_json:
        emit(found)
        sys.exit(1 if refused else 0)
    found.pop("refused", None)
    for line in lines_of(found.pop("read")):
        say(f"{'read':>16}  {line}")
    for name, value in found.items():
        say(f"{name.replace('_', ' '):>16}  {value}")
    if refused:
        fail(refused, 1)


def show(run: Any, as_json: bool, took: float) -> None:
    """The result of learning: verdict, scores, where things are, what to type next; ``took``:
    seconds of all of it."""
    if rank():  # the first of several tells it
        return None
    from stepwell.phases import views_tried
    from stepwell.reporting import next_commands, warnings
    from stepwell.scoring import read_scores
    from stepwell.sources.facts import lines_of

    scores, config = read_scores(run), run.config
    page = run.path / "report.html"
    if as_json:
        read = {"source": config["source"].get("read"), "set_aside": config.get("skipped", [])}
        cost = config["cost"] | {"all_seconds": round(took, 2)}
        facts = {"run": str(run.path), **scores, "cost": cost, **config["data"]}
        return emit(facts | read)
    say(scores["verdict"]["sentence"])
    say()
    say(scorecard(scores))
    say()
    tell_labels(scores.get("read", {}))
    for line in scores.get("left_out", ()):
        say(line)
    tried = views_tried(config)
    for row in tried:
        say(f"view {row['name']:<12} {judged(row)}")
    if run.recipe and not tried:
        blind = [row["name"] for row in config.get("views", [])]
        say(f"views   {' '.join([*blind, *run.recipe])}, and no other")
    data, cost = config["data"], config["cost"]
    say(
        f"\n{data['examples']:,} examples, {data['skipped']:,} set aside; "
        f"{cost['seconds']:.0f} s to learn ({cost['cpu_seconds']:.0f} CPU s, "
        f"{cost['peak_mb']:,.0f} MB), {took:.0f} s with scores and page"
    )
    for line in lines_of(config["source"]["read"], config.get("skipped", [])):
        say(f"read    {line}")
    for warning in warnings(config):
        say(f"note    {warning}")
    say(f"run     {run.path}")
    if page.exists():
        say(f"report  {page}")
    say(f"next    {next_commands(run, str(run.index[0][0]))[0]['command']}")
    return None
