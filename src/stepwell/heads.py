"""What fine-tuning leaves in a run: one folder, replaced whole or not at all."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.adapt import Head, LabelSums, Terms, Witnesses
from stepwell.interfaces import Batch, Row, StepwellError, UsageError
from stepwell.kit.files import csv_text, json_text, lock_of
from stepwell.kit.folders import new_folder, recover
from stepwell.kit.parts import save_part
from stepwell.kit.rowfiles import read_rows, texts_of
from stepwell.kit.schema import entries, several
from stepwell.run import Run
from stepwell.runfile import read_json, whole_file

FOLDER, LABELS, CURVE, ADAPTED = "tuned", "labels.csv", "curve.json", "adapted"
BEFORE = (Head.name, Terms.name)
"""Parts of runs that were fine-tuned before there was a folder for all of it."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What a run was fine-tuned to.

    Attributes
    ----------
    head : Head
    labels : list of row
        ``file``, ``label`` and ``digest`` of each labelled example.
    sums : LabelSums, optional
        Where classes can be added, with ``witnesses`` of how sure a head is then.
    terms : Terms, optional
        Of texts.
    adapted : Encoder, optional
        A network that was trained on; the run's own stays.
    curve : list of row
        Of that: what is gained and kept on the way, see :class:`~.tuning.Tuned`.
    """

    head: Head
    labels: Sequence[Row]
    sums: LabelSums | None = None
    witnesses: Witnesses | None = None
    terms: Terms | None = None
    adapted: Any = None
    curve: Sequence[Row] = ()


def told_rows(batch: Batch, labels: Sequence[str]) -> list[Row]:
    """Labelled examples as :class:`Kept` has them."""
    return [
        {"file": str(name), "label": label, "digest": f"{high:016x}{low:016x}"}
        for name, label, (high, low) in zip(batch.ids, labels, batch.digest.tolist(), strict=True)
    ]


def keep(run: Run, kept: Kept) -> None:
    """Write it down, under the run's lock; what was there before stays until this is whole."""
    run.check_same()
    run.tuned = None
    run.kept.clear()
    place = run.path / "parts" / FOLDER
    parts: dict[str, Any] = {Head.name: kept.head, Terms.name: kept.terms, ADAPTED: kept.adapted}
    parts |= {LabelSums.name: kept.sums, Witnesses.name: kept.witnesses}
    with new_folder(place, overwrite=True) as draft:
        for name, part in parts.items():
            if part is not None:
                save_part(draft / name, part, part.name)
        (draft / CURVE).write_text(json_text(list(kept.curve)), encoding="utf-8")
        (draft / LABELS).write_text(_as_csv(kept.labels), encoding="utf-8")
    for name in BEFORE:
        shutil.rmtree(run.path / "parts" / name, ignore_errors=True)


def curve_of(run: Run) -> list[Row]:
    """What was gained and kept by training on a network; empty where none was."""
    path = run.path / "parts" / FOLDER / CURVE
    found: list[Row] = read_json(path, [], several(entries({})))
    return found


def _check_generation(run: Run) -> None:
    """Bring back a head whose replacement was interrupted, and raise where it is another than what
    was read of it before.

    Raises
    ------
    StepwellError
    """
    place = run.path / "parts" / FOLDER
    recover(place, lock_of(run.path))
    try:
        found = os.stat(place).st_ino
    except OSError:
        return
    if run.tuned not in (None, found):
        raise StepwellError(
            f"Expected the head that was read of {run.path}, found that another has taken its "
            f"place: load the run again."
        )
    run.tuned = found


def has_head(run: Run) -> bool:
    """Whether it was fine-tuned."""
    _check_generation(run)
    return run.has(f"{FOLDER}/{Head.name}") or run.has(Head.name)


def head_generation(run: Run) -> tuple[int, int]:
    """Which head a run has: another one stands in another folder."""
    _check_generation(run)
    try:
        found = os.stat(run.path / "parts" / FOLDER)
    except OSError:  # one of before there was a folder for it, or none
        return 0, 0
    return found.st_ino, found.st_mtime_ns  # the number of a folder may come again


def head_of(run: Run) -> Head:
    """What it was fine-tuned to.

    Raises
    ------
    UsageError
        If it was not.
    """
    found = part_of(run, Head.name)
    if found is None:
        raise UsageError(
            f"Expected a run that was fine-tuned, found {run.path} without labels: `stepwell "
            f"finetune {run.path} --labels LABELS`."
        )
    head: Head = found
    return head


def part_of(run: Run, name: str) -> Any:
    """A part of what it was fine-tuned to; None where there is none."""
    _check_generation(run)
    if run.has(f"{FOLDER}/{Head.name}"):
        return run.part(f"{FOLDER}/{name}") if run.has(f"{FOLDER}/{name}") else None
    return run.part(name) if name in BEFORE and run.has(name) else None


def labels_before(run: Run) -> list[Row]:
    """Labelled examples that it was fine-tuned on."""
    _check_generation(run)
    path = run.path / "parts" / FOLDER / LABELS
    if not path.is_file():
        return []
    with whole_file(path), open(path, newline="", encoding="utf-8") as file:
        rows = [dict(row) for row in csv.DictReader(file)]
        if any(set(row) != {"file", "label", "digest"} for row in rows):
            raise ValueError("other columns")
    return rows


def own_labels(run: Run) -> dict[str, str]:
    """Labels by id of those among them that the run was learned from."""
    rows = labels_before(run)
    own = _digests(run) if rows else {}
    return {row["file"]: row["label"] for row in rows if own.get(row["file"]) == row["digest"]}


def _digests(run: Run) -> Mapping[str, str]:
    path = run.path / "examples.parquet"
    with whole_file(path):
        table = read_rows(path, {"id": "string", "digest": "string"})
        return dict(zip(texts_of(table["id"]), texts_of(table["digest"]), strict=True))
    raise AssertionError("never reached")


def _as_csv(rows: Sequence[Row]) -> str:
    names = ["file", "label", "digest"]
    return csv_text(names, [[row[name] for name in names] for row in rows], raw=True)
