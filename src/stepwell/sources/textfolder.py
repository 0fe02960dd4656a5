"""Which files of a folder hold texts, and which are passed over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from stepwell.sources.sniff import passed_over
from stepwell.sources.splits import split_of_tables
from stepwell.sources.textcolumns import ANY, Column, Wish
from stepwell.sources.textfiles import PLAIN, TABLES, format_of
from stepwell.sources.walk import readable, walk

_ABOUT = frozenset(
    (
        *("readme", "license", "licence", "copying", "changelog", "changes", "notice"),
        *("citation", "authors", "contributing", "requirements"),
    )
)
"""Names of files about data."""


class TextFile(NamedTuple):
    """A file, the id that its examples begin with, and its format."""

    prefix: str
    path: str
    format: str


class TextFiles(NamedTuple):
    """Files with text; how many others, by why they are passed over; the split, if several."""

    files: list[TextFile]
    passed: Counter[str]
    split: str | None


def text_files(path: Path, wish: Wish = ANY, split: str | None = None) -> TextFiles:
    """Of a file itself, of a folder those below it, of one split.

    Raises
    ------
    UsageError
        If there is no such split.
    """
    if not path.is_dir():
        kind = format_of(path.name) or "plain"
        table = wish.column is not None or wish.delimiter is not None
        kind = "csv" if table and kind in PLAIN else kind
        return TextFiles([TextFile(readable(path.name), str(path), kind)], Counter(), None)
    found, passed = _below(path, wish)
    tables = [file.prefix for file in found if file.format in TABLES]
    name, kept = split_of_tables(path, tables, split)
    other = {*tables} - {*kept}
    passed["of another split"] += len(other)
    return TextFiles([file for file in found if file.prefix not in other], +passed, name)


def _below(path: Path, wish: Wish) -> tuple[list[TextFile], Counter[str]]:
    """Files with text in a folder, and how many others.

    What is written about data (README, LICENSE …) is none of it beside tables; a .json file is
    mostly a note of some program, and only read when it is named itself.
    """
    found, passed = list[TextFile](), Counter[str]()
    for each in walk(path):
        kind = "" if each.problem else format_of(each.path)
        if each.problem:
            passed[each.problem] += 1
        elif not kind or each.extension == ".json":
            passed[passed_over(each, "text")] += 1
        elif kind in PLAIN or Column.fits(Path(each.path), kind, wish):
            found.append(TextFile(each.id, each.path, kind))
        else:
            passed["a table of names and labels, or without words"] += 1
    plain = [file for file in found if file.format in PLAIN]
    about = {file for file in plain if is_about(file.path)}
    if about and len(about) == len(plain) < len(found):
        passed["about the data, as README and LICENSE are"] += len(about)
        found = [file for file in found if file not in about]
    return found, passed


def is_about(path: str) -> bool:
    """Whether a file tells about data, rather than being some."""
    return Path(path).name.partition(".")[0].lower() in _ABOUT
