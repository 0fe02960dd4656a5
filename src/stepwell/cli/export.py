"""``stepwell export``."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.cli.console import data_option, emit, json_option, opened, say


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option("--onnx/--no-onnx", default=True, help="Pixels to embedding as ONNX, too.")
@click.option("--overwrite", is_flag=True, help="Replace what was exported there before.")
@data_option
@json_option
def command(
    run: Path, data: str | None, out: Path, onnx: bool, overwrite: bool, as_json: bool
) -> None:
    """The network of RUN for use without stepwell: state dict, code that loads it, ONNX.

    Everything is compared with the run before it is kept.
    """
    from stepwell.exporting import ONNX, SNIPPET, WEIGHTS, export

    facts = export(opened(run, data), out, onnx=onnx, overwrite=overwrite)
    if as_json:
        return emit(facts)
    say(f"{out / WEIGHTS}: the backbone's state dict")
    say(f"{out / SNIPPET}: loads it; features agree to {facts['features']:.1e}")
    if onnx:
        say(f"{out / ONNX}: pixels to embedding; cosine with the run's {facts['cosine']:.5f}")
    return None
