"""Where a run is: it absorbs, regulates itself, compares and recalibrates, and is ready to act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.heads import has_head, head_of, labels_before
from stepwell.interfaces import Row
from stepwell.predicting import sets_of
from stepwell.run import Run
from stepwell.runfile import trained_on
from stepwell.scoring import read_scores

REGRET = (
    "expected regret: on six other data sets choosing by labels instead would have added 0 points "
    "of kNN accuracy on average, -2.7 to +1.2"
)
"""Of benchmarks/judge.py."""


def phases(run: Run) -> list[Row]:
    """The four phases of a finished run, each with its evidence.

    Returns
    -------
    list of {"phase": str, "evidence": list of str}
    """
    scores = read_scores(run)
    found = {
        "absorbed": _absorbed(run.config),
        "regulated itself": _regulated(run.config, scores),
        "compared and recalibrated": _compared(run.config),
        "ready to act": _ready(run, scores),
    }
    return [{"phase": name, "evidence": told} for name, told in found.items()]


def _absorbed(config: dict[str, Any]) -> list[str]:
    data, share = config["data"], config["learn"].get("share", 1)
    told = [f"{data['examples']:,} examples, {data['distinct']:,} of them different"]
    if share < 1:
        told.append(f"{share:.0%} of all there are, as the budget said")
    if data["skipped"]:
        told.append(f"{data['skipped']:,} set aside")
    return told + ([trained_on(config)] if config.get("train") else [])


def _regulated(config: Mapping[str, Any], scores: Mapping[str, Any]) -> list[str]:
    choice = config["choice"]
    above = scores.get("modes_above_noise")
    told = []
    if above is not None:
        told.append(
            f"{above:,} of {choice['k']:,} dimensions above what shuffled pairs reach "
            f"(λ = {choice['noise']:.2f})"
        )
    done = config.get("train", {}).get("regulated", [])
    told += [f"step {row['step']:,}: {row['kind']}; {row['did']}" for row in done[:3]]
    return told or ["nothing had to be"]


def views_tried(config: Mapping[str, Any]) -> list[Row]:
    """Of the views of a run those that were judged, not only named by who asked for them."""
    return [row for row in config.get("views", []) if not {"kept", "natural"}.isdisjoint(row)]


def _compared(config: Mapping[str, Any]) -> list[str]:
    views, tried = views_tried(config), config["choice"].get("tried", [])
    told = []
    if views:
        used = [row["name"] for row in views if row["used"]]
        told.append(f"{len(views)} views tried, used: {', '.join(used) or 'the gentlest only'}")
    if tried:
        choice = config["choice"]
        told.append(
            f"{len(tried)} choices of ridge and dimensions compared by how far views stand out: "
            f"ρ = {choice['rho']:g}, k = {choice['k']:,}"
        )
    searched = config.get("train", {}).get("searched", [])
    if searched:
        rate = config["train"]["rate"]
        told.append(
            f"{len(searched)} short trainings compared by how often a view finds its own example: "
            f"rate {rate:.2g}"
        )
    if not told:
        return ["nothing was compared: too few examples, or as asked"]
    return [*told, REGRET]


def _ready(run: Run, scores: Mapping[str, Any]) -> list[str]:
    tested = scores.get("test")
    told = [f"scored on {tested:,} labels" if tested else "scored without labels"]
    if has_head(run):
        head = head_of(run)
        sure = "without a promise" if sets_of(head, None) is None else "with sets that promise"
        count = len(labels_before(run))
        labels = f"{count:,} labels" if count else "labels"  # older runs did not write them down
        told.append(f"fine-tuned on {labels} of {len(head.classes)} classes, {sure}")
    else:
        told.append(f"no labels yet: stepwell suggest {run.path} names those that help most")
    return told
