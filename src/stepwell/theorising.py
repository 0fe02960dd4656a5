"""All figures of ``stepwell theory``: run, written as one page and one JSON file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from stepwell import experiments
from stepwell.interfaces import Observer, StepwellError, UsageError, ignore
from stepwell.kit.files import write_atomic, write_json
from stepwell.kit.folders import new_folder
from stepwell.kit.torch import torch_or_error
from stepwell.laboratory import IMAGES, Figure, Pool
from stepwell.recording import Recorder, versions
from stepwell.report import render_theory

VIEWS = 16
"""Views of each image that convnets choose two of."""
NETS = 1500
"""Images that convnets learn from."""
FIGURES = "abcdef"


def theorise(
    src: Any,
    out: Path,
    *,
    figures: str = FIGURES,
    images: int = IMAGES,
    seed: int = 0,
    steps: int = experiments.STEPS,
    overwrite: bool = False,
    observe: Observer = ignore,
) -> dict[str, Any]:
    """Draw the paper's figures on the images of a source.

    Parameters
    ----------
    src : path, array or Source
        Images.
    out : path
        A folder for ``theory.html``, ``theory.json`` and the convnets' ``steps.jsonl``.
    figures : str
        Letters of those wanted. (d) and (f) need torch, and are left out without it.
    images : int
        For the linear and kernel models.
    steps : int
        Of SGD, for the convnets.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    dict
        What ``theory.json`` holds.

    Raises
    ------
    UsageError, StepwellError
    """
    wanted = _checked(figures)
    ours = (out / "theory.json").is_file()
    if out.exists() and not (overwrite and ours):
        more = ", or add --overwrite to replace these figures" if ours else ""
        raise UsageError(
            f"Expected a free name for the figures, found something at {out}: choose another "
            f"--out{more}."
        )
    pool = Pool.of(src, images, seed)
    with new_folder(out.absolute(), overwrite=overwrite) as folder:
        makers = _makers(pool, src, steps, folder, observe)
        drawn, missing = _drawn({name: makers[name] for name in FIGURES if name in wanted}, observe)
        facts = {
            "created": datetime.now().astimezone().isoformat(timespec="seconds"),
            "versions": versions(),
            "images": len(pool.batch),
            "seed": seed,
            "left_out": missing,
            "figures": {figure["id"]: figure["numbers"] for figure in drawn},
        }
        write_json(folder / "theory.json", facts)
        write_atomic(folder / "theory.html", render_theory(_summary(facts, drawn)))
    return facts


def _drawn(
    makers: dict[str, Callable[[], Figure]], observe: Observer
) -> tuple[list[Figure], list[str]]:
    """Figures, and why others are missing; StepwellError if all are."""
    drawn: list[Figure] = []
    missing: list[str] = []
    for name, make in makers.items():
        observe("theory", {"done": len(drawn), "of": len(makers)})
        try:
            drawn.append(make())
            missing += drawn[-1].get("left_out", [])
        except StepwellError as why:
            missing.append(f"Figure ({name}) was not drawn. {why}")
    if not drawn:
        raise StepwellError(" ".join(missing))
    return drawn, missing


def _checked(figures: str) -> str:
    unknown = [letter for letter in figures if letter not in FIGURES]
    if unknown or not figures:
        raise UsageError(
            f"Expected letters out of {FIGURES}, found {figures!r}: e.g. --figures ace."
        )
    return figures


def _makers(
    pool: Pool, src: Any, steps: int, folder: Path, observe: Observer
) -> dict[str, Callable[[], Figure]]:
    """How each figure is made."""

    def nets() -> Figure:
        torch_or_error()  # before anything is written
        many = Pool.of(src, NETS, pool.seed, VIEWS)
        with ExitStack() as logs:

            def watch(name: str) -> Observer:
                (folder / name).mkdir()
                return logs.enter_context(Recorder(folder / name / "steps.jsonl", ignore))

            return experiments.convnets(many, observe, watch, steps=steps)

    return {
        "a": lambda: experiments.linear(pool),
        "b": lambda: experiments.scales(pool),
        "c": lambda: experiments.fixed_kernels(pool),
        "d": lambda: experiments.wide_networks(pool),
        "e": lambda: experiments.alignment(pool),
        "f": nets,
    }


def _summary(facts: dict[str, Any], drawn: Sequence[Figure]) -> dict[str, Any]:
    return {
        "title": "Self-supervised learning goes in steps",
        "lead": [
            f"Theory over measurement, on {facts['images']:,} images. Coloured: measured. "
            "Dashed: what theory says beforehand.",
        ],
        "version": facts["versions"]["stepwell"],
        "created": facts["created"][:16].replace("T", " "),
        "warnings": facts["left_out"],
        "figures": [figure | {"table": table_of(figure["numbers"])} for figure in drawn],
    }


def table_of(numbers: dict[str, Any]) -> list[list[str]] | None:
    """Predicted and measured critical times, where a figure has them."""
    if "critical_times_predicted" not in numbers:
        return None
    rows = zip(
        numbers["critical_times_predicted"],
        numbers["critical_times_measured"],
        numbers["relative_error"],
        strict=True,
    )
    table = [["dimension", "predicted step", "measured step", "difference", ""]]
    for j, (predicted, seen, error) in enumerate(rows):
        tie = "near-tie: no claim" if j in numbers["near_ties"] else ""
        table.append([str(j + 1), f"{predicted:,.0f}", f"{seen:,.0f}", f"{error:+.2%}", tie])
    return table
