"""``stepwell embed``."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from stepwell.cli.console import (
    Progress,
    check_free,
    emit,
    json_option,
    raw_option,
    say,
    tell_quoted,
    tell_source,
)
from stepwell.interfaces import UsageError
from stepwell.kit.escape import for_spreadsheet

FORMATS = (".parquet", ".npy", ".csv")


@click.command("embed")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("src")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option(
    "--for",
    "use",
    metavar="USE",
    help="few (labels), many, search or cluster; default: about as good for each.",
)
@raw_option
@json_option
def command(
    run: Path,
    src: str,
    out: Path,
    overwrite: bool,
    use: str | None,
    raw_csv: bool,
    as_json: bool,
) -> None:
    """Vectors of every example of SRC, in source order.

    --out FILE.parquet has the columns id and embedding; .csv has a column a dimension;
    .npy is a bare (n, k) float32 array.
    """
    from stepwell.run import load
    from stepwell.sources.facts import facts_of

    if out.suffix not in FORMATS:
        raise UsageError(f"Expected --out to end in {', '.join(FORMATS)}, found {out.name!r}.")
    check_free(out, overwrite)
    opened = load(run)
    source = opened.open(opened.asked(src))
    scratch = out.with_name(f".{out.name}.partial")
    try:
        with Progress(silent=as_json) as observe:
            rows = _watched(opened.embed_batches(source, use=use), observe)
            if out.suffix == ".csv":
                count, quoted = _csv(scratch, rows, opened.width, raw_csv)
            else:
                count, quoted = WRITERS[out.suffix](scratch, rows, opened.width), 0
        if count == 0:
            raise UsageError(f"Expected examples to embed, found none that can be read in {src}.")
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)
    tell_quoted(quoted, out)
    skipped = [vars(s) for s in source.skipped]
    if as_json:
        facts = {"out": str(out), "examples": count, "for": use, "skipped": skipped}
        return emit(facts | {"source": facts_of(source)})
    tell_source(source)
    say(f"{count:,} vectors of {opened.width} dimensions in {out}; {len(skipped):,} set aside")
    return None


def _watched(rows: Iterator[Any], observe: Any) -> Iterator[Any]:
    done = 0
    for batch, z in rows:
        done += len(z)
        observe("embed", {"done": done})
        yield batch, z


def _parquet(path: Path, rows: Iterator[Any], width: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    schema = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32()))])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for batch, z in rows:
            starts = pa.array(np.arange(0, z.size + 1, width, dtype=np.int32))
            column = pa.ListArray.from_arrays(starts, pa.array(z.ravel()))
            ids = pa.array([str(i) for i in batch.ids])
            writer.write_table(pa.table([ids, column], schema=schema))
            count += len(z)
    return count


def _npy(path: Path, rows: Iterator[Any], width: int) -> int:
    parts = [z for _, z in rows]
    with open(path, "wb") as file:
        try:
            np.save(file, np.concatenate(parts) if parts else np.empty((0, width), np.float32))
        except OSError as error:
            # numpy only counts what it could not write: "2500 requested and 992 written".
            code = error.errno or errno.ENOSPC
            raise OSError(code, os.strerror(code), str(path)) from error
    return sum(map(len, parts))


def _csv(path: Path, rows: Iterator[Any], width: int, raw: bool) -> tuple[int, int]:
    """How many rows, and how many names of them were quoted for spreadsheets."""
    import csv

    count = quoted = 0
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *(f"e{i}" for i in range(width))])
        for batch, z in rows:
            for name, vector in zip(batch.ids, z, strict=True):
                id = str(name) if raw else for_spreadsheet(str(name))
                quoted += id != name
                writer.writerow([id, *(f"{v:.7g}" for v in vector)])
            count += len(z)
    return count, quoted


WRITERS = {".parquet": _parquet, ".npy": _npy}
