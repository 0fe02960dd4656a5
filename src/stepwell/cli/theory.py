"""``stepwell theory``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import Progress, emit, json_option, say, table


@click.command("theory")
@click.argument("src", required=False)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/theory"))
@click.option("--figures", default="abcdef", help="Letters; (d), (f) and a part of (c) need torch.")
@click.option("--images", type=click.IntRange(min=40), default=500, help="For (a) to (e).")
@click.option("--steps", type=click.IntRange(min=100), default=4000, help="Of SGD, for (f).")
@click.option("--seed", type=int, default=0)
@click.option("--overwrite", is_flag=True, help="Replace the figures that are there.")
@json_option
def command(
    src: str | None,
    out: Path,
    figures: str,
    images: int,
    steps: int,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """The paper's figures, theory over measurement, on your images (or the demo's).

    \b
    (a) linear Barlow Twins: loss and eigenvalues   (d) wide networks and their kernel
    (b) larger and smaller first weights            (e) alignment with the prediction
    (c) kernel models: RBF and tangent kernel       (f) convnets with three objectives
    """
    from stepwell.theorising import theorise

    with Progress(silent=as_json) as observe:
        facts = theorise(
            _images(src),
            out,
            figures=figures,
            images=images,
            steps=steps,
            seed=seed,
            overwrite=overwrite,
            observe=observe,
        )
    if as_json:
        return emit(facts)
    for line in lines_of(facts):
        say(line)
    say(f"\nPage: {out / 'theory.html'}   Numbers: {out / 'theory.json'}")
    return None


def _images(src: str | None) -> Any:
    """What was named, or the demo's images."""
    if src is not None:
        return src
    from stepwell.demonstration import demo_images

    return demo_images()


def lines_of(facts: dict[str, Any]) -> list[str]:
    """What was found, in words and a small table."""
    found, lines, rows = facts["figures"], [], []
    for letter in "abc":
        numbers = found.get(letter, {})
        each = {"linear model": numbers} if "median_error" in numbers else numbers
        if letter == "b":
            each = {f"first weights {scale}": some for scale, some in numbers.items()}
        for name, some in each.items():
            known = (some[which] for which in ("median_error", "worst_error"))
            errors = ["–" if error is None else f"{error:.2%}" for error in known]
            rows.append([f"({letter}) {name}", *errors, str(len(some["near_ties"]))])
    if rows:
        head = ["critical times, theory against measurement", "median", "worst", "ties left out"]
        lines.append(table(rows, head))
    if "d" in found:
        pairs = zip(found["d"]["widths"], found["d"]["median_errors"], strict=True)
        lines.append("(d) error by width: " + ", ".join(f"{w}: {e:.1%}" for w, e in pairs))
    if "e" in found:
        seen, said = (found["e"][name] for name in ("alignment", "alignment_predicted"))
        lines.append(f"(e) alignment {seen:.4f}, predicted {said:.4f}")
    for name, some in found.get("f", {}).items():
        count = len({step["dimension"] for step in some["steps"]})
        lines.append(f"(f) {name}: {count} dimensions arrived in steps")
    return lines + facts["left_out"]
