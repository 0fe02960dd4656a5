"""What stands in a file of text: lines, paragraphs, rows of a table."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.files import delimiter_of
from stepwell.kit.names import nearest

PLAIN = ("plain",)
TABLES = ("csv", "tsv", "jsonl")
_FORMATS = {
    ".txt": "plain",
    ".text": "plain",
    ".md": "plain",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
TEXT = ("text", "sentence", "review", "content", "body", "document", "comment", "abstract", "title")
LABEL = ("label", "class", "target", "sentiment", "category")
FILE, NAMES = ("file", "path"), ("id", "name")
WRITING = TEXT[:6]
"""Names that mean text for sure, beside labels too."""
KNOWN = {*TEXT, *LABEL, *FILE, *NAMES}
"""Names that a header is known by."""
LOOKED = 200
"""Rows that tell which column holds the text."""
PARTED = 0.1
"""Share of empty lines from which on they part paragraphs."""
LETTERS, WRITTEN = 100_000, 0.3
"""Signs that are looked at, and the share of letters among those of a writing."""
WORDS, SENTENCE = 1.5, 4
"""Words a cell of text has at least, on average; and beside names and labels, where it may be a
note."""


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


class Column(NamedTuple):
    """Where a table keeps text and label.

    Attributes
    ----------
    text, label : str, int or None
        Names (of JSON, or of a header), or places.
    header : int
        Number of the row that names columns; -1 where none does.
    cells : int
        Of a row, mostly; 0 of JSON.
    """

    text: Any
    label: Any
    header: int
    cells: int = 0

    @classmethod
    def of(cls, path: str | Path, format: str, wanted: str | int | None = None) -> Column:
        """Found in the first rows.

        Raises
        ------
        UsageError
            If no column is text, or there is none of that name.
        """
        found = cls._found(path, format, wanted)
        if found is None:
            raise UsageError(f"Expected a column of text in {path}, found none in its first rows.")
        return found

    @classmethod
    def fits(cls, path: Path, format: str) -> bool:
        """Whether a table holds text, and does not only name files and their labels."""
        try:
            return cls._found(path, format, None) is not None
        except StepwellError:
            return True  # its own message says what is wrong with it

    @classmethod
    def _found(cls, path: str | Path, format: str, wanted: str | int | None) -> Column | None:
        found = [(n, row) for n, row, wrong in islice(_rows(path, format), LOOKED) if not wrong]
        if not found:
            return None
        (top, first), rows = found[0], [row for _, row in found]
        header = -1
        if format == "jsonl":
            keys: list[Any] = list(dict.fromkeys(str(name) for row in rows for name in row))
            known = {name: name for name in keys}
        else:
            names, keys = [str(name) for name in first.values()], list(first)
            header = top if wanted in names or {n.lower() for n in names} & KNOWN else -1
            known = dict(zip(names, keys, strict=True)) if header >= 0 else {}
            rows = rows[1:] if header >= 0 else rows
        if wanted is not None:
            key = known.get(str(wanted), wanted if wanted in keys else None)
            if key is None:
                listed = ", ".join(map(str, known or keys))
                raise UsageError(
                    f"Expected a column of {path} ({listed}), found {wanted!r}."
                    f"{nearest(str(wanted), map(str, known))}"
                )
        else:
            lower = {name.lower(): key for name, key in known.items()}
            if _of_files(set(lower)) and not _writing(rows, known):
                return None
            key = next((lower[name] for name in TEXT if name in lower), _longest(rows, keys))
        cells = 0
        if format != "jsonl" and header >= 0:
            cells = len(first)
        elif format != "jsonl":
            ((cells, _),) = Counter(map(_cells, rows)).most_common(1)
        return None if key is None else cls(key, _label(rows, keys, known, key), header, cells)


def _of_files(names: set[str]) -> bool:
    """Whether a table with these columns gives labels to files, or to examples by their names."""
    by_name = bool(names & set(NAMES)) and not names & set(WRITING)
    return bool(names & set(LABEL)) and (bool(names & set(FILE)) or by_name)


def _writing(rows: Sequence[dict], known: Mapping[str, Any]) -> bool:
    """Whether a column with a name of its own holds sentences, and no files are named."""
    if {name.lower() for name in known} & set(FILE):
        return False
    return any(
        _words(rows, key) >= SENTENCE * max(len(rows), 1)
        and 2 * len({str(row.get(key, "")) for row in rows}) > len(rows)
        for name, key in known.items()
        if name.lower() not in KNOWN
    )


def _words(rows: Sequence[dict], key: Any) -> int:
    """In a column."""
    return sum(len(str(row.get(key, "")).split()) for row in rows)


def _longest(rows: Sequence[dict], keys: Sequence[Any]) -> Any:
    """The column with most words, if these are words."""
    counts = {key: _words(rows, key) for key in keys}
    best = max(keys, key=lambda key: counts[key], default=None)
    return best if best is not None and counts[best] >= WORDS * max(len(rows), 1) else None


def _label(rows: Sequence[dict], keys: Sequence[Any], known: dict[str, Any], text: Any) -> Any:
    """A column called label, or without names the one whose few values come again and again."""
    for name, key in known.items():
        if name.lower() in LABEL and key != text:
            return key
    for key in keys if not known else ():
        values = {str(row.get(key, "")) for row in rows}
        if key != text and 1 < len(values) <= max(2, len(rows) // 10):
            return key
    return None


def has_words(path: str | Path) -> bool:
    """Whether there is writing in the first lines of a file, not numbers."""
    try:
        text = "".join(line for line, _ in islice(lines_of(path), LOOKED))
    except StepwellError:
        return False
    signs = [letter for letter in text[:LETTERS] if not letter.isspace()]
    return sum(map(str.isalpha, signs)) >= WRITTEN * len(signs)


def why_no_text(path: Path) -> str:
    """Why a file that is called one of texts can not be read as such; empty for others."""
    kind = format_of(path.name)
    if not kind or not path.is_file():
        return ""
    with open(path, "rb") as file:
        start = file.read(2)
    if not start:
        return "an empty file"
    if start in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16 (save it as UTF-8)"
    if start == b"\x1f\x8b" and path.suffix.lower() != ".gz":
        return "a compressed file (call it .gz)"
    try:
        lines = [line for line, _ in islice(lines_of(path), LOOKED)]
    except StepwellError as error:
        return str(error).rpartition(", found")[2].strip(" :.") or "a damaged file"
    if not any(line.strip() for line in lines):
        return "nothing but empty lines"
    if kind in TABLES:
        return "a table without a column of words, or of labels for files (-o column=NAME names it)"
    return "numbers, or hardly a word, in its first lines"


def usual_unit(path: str | Path) -> str:
    """Paragraphs where the first lines are parted by many empty ones, else lines."""
    first = [line for line, _ in islice(lines_of(path), LOOKED)]
    empty = sum(not line.strip() for line in first)
    return "paragraph" if empty >= PARTED * len(first) and empty else "line"


def units(
    path: str, format: str, unit: str, column: Column | None
) -> Iterator[tuple[str | None, Cells, str]]:
    """(what names it within the file, its cells, what is wrong with it) of each example."""
    if column is not None:
        for number, row, problem in _rows(path, format):
            if number == column.header:
                continue
            text, label = row.get(column.text), row.get(column.label)
            cells = Cells("" if text is None else str(text), "" if label is None else str(label))
            if not problem and not cells.text.strip():
                problem = "no text"
            if not problem and column.cells and (more := _cells(row)) > column.cells:
                problem = f"{more} cells instead of {column.cells}: is its text quoted?"
            yield f"row={number}", cells, problem
    elif unit == "document":
        try:
            lines = [*lines_of(path)]
        except StepwellError as error:  # one of many
            lines = [("", str(error))]
        problem = next((why for _, why in lines if why), "")
        text = "".join(line for line, _ in lines).strip()
        yield None, Cells(text), problem or ("" if text else "no text")
    elif unit == "paragraph":
        yield from _paragraphs(path)
    else:
        for number, (line, problem) in enumerate(lines_of(path)):
            if line.strip() or problem:
                yield f"line={number + 1}", Cells(line.strip()), problem


def _cells(row: Mapping[Any, str]) -> int:
    """Of a row of a CSV or TSV, to the last that is not empty."""
    return max((place + 1 for place, cell in row.items() if cell.strip()), default=0)


def _paragraphs(path: str) -> Iterator[tuple[str, Cells, str]]:
    held: list[str] = []
    number, wrong = 1, ""
    for line, problem in chain(lines_of(path), [("", "")]):
        wrong = wrong or problem
        if line.strip() or problem:
            held.append(line)
        elif held:
            yield f"paragraph={number}", Cells("".join(held).strip()), wrong
            held, number, wrong = [], number + 1, ""


def _rows(path: str | Path, format: str) -> Iterator[tuple[int, dict[Any, Any], str]]:
    """(number, cells by column, what is wrong) of each row."""
    if format == "jsonl":
        for number, (line, problem) in enumerate(lines_of(path)):
            if not line.strip() and not problem:
                continue
            try:
                row = json.loads(line) if not problem else {}
            except ValueError:
                row, problem = {}, "no JSON"
            if not isinstance(row, dict):
                row, problem = {}, "no JSON object"
            yield number, row, problem
        return
    csv.field_size_limit(2**27)
    given = lines_of(path)
    first = next(given, ("", ""))
    options: dict[str, Any] = {"delimiter": delimiter_of(first[0], KNOWN)}
    if format == "tsv":
        options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    problems: list[str] = []

    def lines() -> Iterator[str]:
        for line, problem in chain([first], given):
            if problem:
                problems.append(problem)
            # A lone carriage return ends a line of some old files, but not within a cell of a TSV.
            line = line.replace("\r\n", "\n").replace("\r", " " if format == "tsv" else "\n")
            yield from line.splitlines(keepends=True) if line.count("\n") > 1 else [line]

    try:
        for number, cells in enumerate(csv.reader(lines(), **options)):
            wrong, problems[:] = (problems[0] if problems else ""), []
            if cells or wrong:
                yield number, dict(enumerate(cells)), wrong
    except csv.Error as error:
        raise StepwellError(f"Expected a table in {path}, found: {error}.") from None


def lines_of(path: str | Path) -> Iterator[tuple[str, str]]:
    """(line, what is wrong with it), with its end.

    Raises
    ------
    StepwellError
        If the file is not text, or damaged.
    """
    with _opened(path) as file:
        try:
            start = file.peek(4096)[:4096]
            if b"\0" in start:
                raise StepwellError(f"Expected text in {path}, found a binary file.")
            for number, raw in enumerate(file):
                try:
                    line = raw.decode("utf-8-sig" if number == 0 else "utf-8")
                except UnicodeDecodeError as error:
                    yield raw.decode("utf-8", "replace"), f"no UTF-8 (byte {error.start + 1})"
                else:
                    yield line.replace("\0", ""), ""
        except (OSError, EOFError, zlib.error) as error:
            raise StepwellError(f"Expected a whole file at {path}, found: {error}.") from None


def _opened(path: str | Path) -> io.BufferedReader:
    opened = gzip.open if str(path).lower().endswith(".gz") else io.FileIO
    return io.BufferedReader(cast("io.RawIOBase", opened(path, "rb")), 2**18)
