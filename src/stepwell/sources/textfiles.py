"""What stands in a file of text: lines, paragraphs, rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.delimited import Record, filled, records
from stepwell.kit.lines import lines_of
from stepwell.kit.nested import as_label, dug, flat, in_words
from stepwell.sources.jsonfiles import json_rows
from stepwell.sources.textcolumns import LOOKED, Column

PLAIN = ("plain",)
TABLES = ("csv", "tsv", "jsonl")
_FORMATS = {
    ".txt": "plain",
    ".text": "plain",
    ".md": "plain",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
PARTED = 0.1
"""Share of empty lines from which on they part paragraphs."""
LETTERS, WRITTEN = 100_000, 0.3
"""Signs that are looked at, and the share of letters among those of a writing."""
MOST_CHARACTERS = 4_000_000
"""Of a document or a paragraph that is held; a longer one is set aside."""


class Cells(NamedTuple):
    """Text and label of an example."""

    text: str
    label: str = ""


def format_of(name: str) -> str:
    """What a file is by its name; empty for what is no text."""
    path = Path(name.lower())
    if path.suffix != ".gz":
        return _FORMATS.get(path.suffix, "")
    inner = Path(path.stem).suffix
    # "train.en.gz" holds lines; archives and tables of numbers do not.
    return _FORMATS.get(inner, "plain" if len(inner) == 3 and inner[1:].isalpha() else "")


def has_words(path: str | Path, encoding: str | None = None) -> bool:
    """Whether there is writing in the first lines of a file, not numbers."""
    try:
        text = "".join(line for line, _ in islice(lines_of(path, encoding), LOOKED))
    except StepwellError:
        return False
    signs = [letter for letter in text[:LETTERS] if not letter.isspace()]
    return sum(map(str.isalpha, signs)) >= WRITTEN * len(signs)


def why_no_text(path: Path, encoding: str | None = None) -> str:
    """Why a file that is called one of texts can not be read as such; empty for others."""
    kind = format_of(path.name)
    if not kind or not path.is_file():
        return ""
    with open(path, "rb") as file:
        start = file.read(2)
    if not start:
        return "an empty file"
    if start == b"\x1f\x8b" and path.suffix.lower() != ".gz":
        return "a compressed file (call it .gz)"
    try:
        lines = [*islice(lines_of(path, encoding), LOOKED)]
    except StepwellError as error:
        return str(error).rpartition(", found")[2].strip(" :.") or "a damaged file"
    wrong = [why for _, why in lines if why]
    if wrong and 2 * len(wrong) > len(lines):
        return f"{wrong[0]} in most lines (-o encoding=cp1252, latin-1, gb18030 … names it)"
    if not any(line.strip() for line, _ in lines):
        return "nothing but empty lines"
    if kind == "jsonl" and lines[0][0].strip() in ("{", "[") and "json" in path.name:
        return "JSON that is no list of objects with a text (an object a line is best)"
    if kind in TABLES:
        return "a table without a column of words, or of labels for files (-o column=NAME names it)"
    return "numbers, or hardly a word, in its first lines"


def check_encoding(path: str | Path, encoding: str | None) -> None:
    """Raise where most of the first lines are in another encoding.

    Raises
    ------
    UsageError
    """
    first = [why for _, why in islice(lines_of(path, encoding), LOOKED)]
    wrong = [why for why in first if why.startswith("no ")]
    if 2 * len(wrong) > len(first):
        raise UsageError(
            f"Expected {wrong[0].partition(' (')[0][3:]} in {path}, found another encoding in most "
            f"of its lines: name it, -o encoding=cp1252 (or latin-1, shift-jis, gb18030 …)."
        )


def usual_unit(path: str | Path, encoding: str | None = None) -> str:
    """Paragraphs where the first lines are parted by many empty ones, else lines."""
    first = [line for line, _ in islice(lines_of(path, encoding), LOOKED)]
    empty = sum(not line.strip() for line in first)
    return "paragraph" if empty >= PARTED * len(first) and empty else "line"


def units(
    path: str, format: str, unit: str, column: Column | None, encoding: str | None = None
) -> Iterator[tuple[str | None, Cells, str]]:
    """(what names it within the file, its cells, what is wrong with it) of each example."""
    if column is not None:
        yield from _of_table(path, column, encoding)
    elif unit == "document":
        yield _document(path, encoding)
    elif unit == "paragraph":
        yield from _paragraphs(path, encoding)
    else:
        for number, (line, problem) in enumerate(lines_of(path, encoding)):
            if line.strip() or problem:
                yield f"line={number + 1}", Cells(line.strip()), problem


def _of_table(
    path: str, column: Column, encoding: str | None
) -> Iterator[tuple[str | None, Cells, str]]:
    if column.dialect is None:
        for number, row, problem in json_rows(path, encoding):
            yield f"row={number}", *_of_object(row, column, problem)
        return
    for record in records(lines_of(path, encoding), column.dialect, column.cells):
        if record.number != column.header:
            yield f"row={record.number}", *_of_record(record, column)


def _of_record(record: Record, column: Column) -> tuple[Cells, str]:
    """Text and label of a row of a CSV or TSV."""
    row, problem = record.cells, record.problem
    parts = [row[key] for key in column.text if key < len(row)]
    label = row[column.label] if column.label is not None and column.label < len(row) else ""
    text = parts[0] if len(parts) == 1 else "\n".join(part for part in parts if part.strip())
    if not problem and not text.strip():
        problem = "no text"
    if not problem and len(row) > column.cells and (more := filled(row)) > column.cells:
        problem = f"{more} cells instead of {column.cells}: is its text quoted?"
    if problem and record.problem:
        problem = f"{problem} (line {record.line})"
    return Cells(text, label.strip()), problem


def _of_object(row: Mapping[str, Any], column: Column, problem: str) -> tuple[Cells, str]:
    """Text and label of a JSON object."""
    parts = [in_words(dug(row, key)) for key in column.text]
    if not problem and any(part is None for part in parts):
        inner = ", ".join(name for name in flat(row) if name.startswith(f"{column.text[0]}."))
        problem = f"an object instead of a text{f' (with {inner})' if inner else ''}"
    text = "\n".join(part for part in parts if part and part.strip())
    if not problem and not text.strip():
        problem = "no text"
    label = as_label(dug(row, column.label)) if column.label is not None else ""
    return Cells(text, label), problem


def _document(path: str, encoding: str | None) -> tuple[None, Cells, str]:
    """A file as one text."""
    parts: list[str] = []
    held, problem = 0, ""
    try:
        for line, why in lines_of(path, encoding):
            problem = problem or why
            held += len(line) + 1
            if held > MOST_CHARACTERS:
                problem = problem or f"more than {MOST_CHARACTERS:,} characters"
            if problem:
                break
            parts.append(line)
    except StepwellError as error:  # one of many
        problem = str(error)
    text = "" if problem else "\n".join(parts).strip()
    return None, Cells(text), problem or ("" if text else "no text")


def _paragraphs(path: str, encoding: str | None) -> Iterator[tuple[str, Cells, str]]:
    held: list[str] = []
    number, size, wrong = 1, 0, ""
    for line, problem in chain(lines_of(path, encoding), [("", "")]):
        wrong = wrong or problem
        if line.strip() or problem:
            size += len(line) + 1
            if size > MOST_CHARACTERS:
                wrong, line = wrong or f"more than {MOST_CHARACTERS:,} characters", ""
            held.append(line)
        elif held:
            yield f"paragraph={number}", Cells("\n".join(held).strip()), wrong
            held, number, size, wrong = [], number + 1, 0, ""
