"""Tables of text: which sign parts cells, whether cells are quoted, and one row after the other.

A file says nothing of how it was written, so its first lines are read in each way that is usual,
and the one in which rows have the same number of cells is taken. Rows are parsed by Python's
``csv``; a quotation mark that nobody closes costs its own row, not those after it.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from stepwell.interfaces import UsageError

DELIMITERS = (",", ";", "\t", "|")
NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
"""Words for signs that are hard to type."""
NOTHING = "\x1f"
"""Delimiter of a table of one column, in which commas are part of the text."""
CELL = 2_000_000
"""Characters of a cell at most: twice as many as an example may have."""
_LEAST = 4096
_SWALLOWED = 3
"""Rows within a quoted cell, each with as many cells as a row has, that tell an open quote."""
_AGREE = 0.5
"""Share of rows that have to have as many cells as the first."""
_ROWS = 200


@dataclass(frozen=True)
class Dialect:
    """How rows are written.

    Attributes
    ----------
    delimiter : str
        What parts cells.
    quoted : bool
        Whether a cell may stand in quotation marks, with ends of lines and delimiters in it.
    escaped : bool
        Whether a quotation mark within is written with a backslash before it.
    spaced : bool
        Whether there is a space after each delimiter.
    told : bool
        Whether the first line is ``sep=…``, as Excel writes it.
    """

    delimiter: str = ","
    quoted: bool = True
    escaped: bool = False
    spaced: bool = False
    told: bool = False

    @classmethod
    def of(
        cls,
        lines: Sequence[str],
        *,
        tab: bool = False,
        delimiter: str | None = None,
        quoted: bool | None = None,
    ) -> Dialect:
        """Of the first lines of a file.

        Parameters
        ----------
        tab : bool
            Whether the name of the file says that tabs part cells.
        delimiter, quoted : optional
            What the user says.
        """
        known = checked_delimiter(delimiter)
        told = len(lines) > 0 and lines[0][:4].lower() == "sep=" and len(lines[0].strip()) <= 5
        if told:
            known = known or (lines[0][4:5] or None)
            lines = lines[1:]
        usual = ("\t", *DELIMITERS) if tab else DELIMITERS
        tried = [
            cls(mark, quotes, '\\"' in "".join(lines[:_ROWS]) and quotes, told=told)
            for mark in ((known,) if known else dict.fromkeys(usual))
            for quotes in ((True, False) if quoted is None else (quoted,))
        ]
        tried = [replace(each, spaced=_spaced(lines, each.delimiter)) for each in tried]
        # The first of the best: a comma and quotes, unless others part rows more evenly.
        best = max(tried, key=lambda each: _agreement(lines, each))
        parted = known or not lines or any(mark in lines[0] for mark in usual)
        return best if parted else replace(best, delimiter=NOTHING)

    def plain(self) -> dict[str, Any]:
        """Settings of a :class:`csv.reader`."""
        return {
            "delimiter": self.delimiter,
            "quoting": csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            "escapechar": "\\" if self.escaped else None,
            "skipinitialspace": self.spaced,
        }

    @property
    def words(self) -> str:
        """For people."""
        names = {mark: name for name, mark in NAMED.items() if name.isalpha()}
        names[NOTHING] = "none, a single column"
        cells = "" if self.quoted else ", quotation marks as they are"
        return f"{names.get(self.delimiter, repr(self.delimiter))}{cells}"


class Record(NamedTuple):
    """A row: its number and the line it ends in, its cells, what is wrong with it."""

    number: int
    line: int
    cells: list[str]
    problem: str = ""


def checked_delimiter(mark: str | None) -> str | None:
    """The sign that is meant.

    Raises
    ------
    UsageError
    """
    if mark is None:
        return None
    sign = NAMED.get(str(mark).lower(), str(mark))
    if len(sign) != 1 or sign in '"\r\n':
        raise UsageError(
            f"Expected a single sign as delimiter, or {', '.join(NAMED)}, found {mark!r}."
        )
    return sign


def records(
    lines: Iterable[tuple[str, str]], dialect: Dialect, cells: int = 0, *, strict: bool = False
) -> Iterator[Record]:
    """Rows of a table; empty ones count, and are left out.

    Parameters
    ----------
    lines : iterable of (line, what is wrong with it)
    cells : int
        Of a row, where that is known: what tells that a quotation mark is never closed.
    strict : bool
        Whether text after a closing quotation mark is a mistake, as in labels, where a sign more
        is another class.
    """
    fed = _Lines(lines)
    if dialect.told:
        next(fed, None)
    number = -1
    csv.field_size_limit(2**31 - 1)  # for the process: `_Lines` bounds cells itself
    while True:
        number += 1
        fed.begin()
        first = next(fed, None)
        if first is None:
            return
        if not dialect.quoted or '"' not in first:
            row = _split(first, dialect)
            if row or fed.problem:
                yield Record(number, fed.line, row, fed.problem)
            continue
        try:
            row = next(csv.reader(chain([first], fed), strict=True, **dialect.plain()))
        except (csv.Error, _Open) as error:
            row, why = _alone(fed, dialect, cells, str(error), strict)
        else:
            why = _swallowed(fed.taken, dialect, cells)
            if why:
                fed.give_back()
        problem = fed.problem or why
        if row or problem:
            yield Record(number, fed.line, row, problem)


def _split(line: str, dialect: Dialect) -> list[str]:
    """Cells of a line without quotation marks, as ``csv`` would give them, but quicker."""
    if dialect.escaped and "\\" in line:
        return _parsed(line, dialect) or []
    line = line.removesuffix("\n")
    cells = line.split(dialect.delimiter) if line else []
    return [cell.lstrip(" ") for cell in cells] if dialect.spaced else cells


def _alone(
    fed: _Lines, dialect: Dialect, cells: int, why: str, strict: bool
) -> tuple[list[str], str]:
    """The first line of a row that can't be read whole, as far as it is one itself."""
    first = fed.taken[0] if fed.taken else ""
    alone = len(fed.taken) == 1 and not fed.ended
    fed.give_back()
    tight = re.sub(rf'" +(?={re.escape(dialect.delimiter)}|$)', '"', first)
    whole = _parsed(tight, dialect, strict) if alone else None
    if dialect.delimiter == "\t" and dialect.quoted:
        whole = whole or _parsed(first, replace(dialect, quoted=False, escaped=False))
    if whole is not None and len(whole) > 1 and cells in (0, len(whole)):
        return whole, ""
    if alone:
        return [], f"its quotation marks don't pair ({why})"
    return [], "a quotation mark is opened and never closed"


def _parsed(line: str, dialect: Dialect, strict: bool = False) -> list[str] | None:
    """A line by itself, in the way of most readers: what follows a closing mark is text."""
    try:
        return next(csv.reader([line], strict=strict, **dialect.plain()), None)
    except csv.Error:
        return None


def _swallowed(taken: Sequence[str], dialect: Dialect, cells: int) -> str:
    """Whether what was read as one row is several: each line has as many cells as a row has."""
    if cells < 2 or len(taken) <= _SWALLOWED:
        return ""
    plain = replace(dialect, quoted=False, escaped=False)
    within = taken[1:]
    whole = sum(len(_parsed(line, plain) or ()) == cells for line in within[:50])
    if whole < 0.9 * min(len(within), 50):
        return ""
    return "a quotation mark is opened and never closed"


class _Open(Exception):
    """A cell that is longer than any may be."""


class _Lines:
    """Lines for a reader of one row; those that it should not have taken are given back."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._lines, self._again = iter(lines), deque[tuple[str, str]]()
        self.taken: list[str] = []
        self.line, self.problem, self.ended = 0, "", False
        self._problems: list[str] = []
        self._held, self._most = 0, CELL

    def begin(self) -> None:
        """A new row."""
        self.taken, self._problems, self._held = [], [], 0
        self.problem, self.ended = "", False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line, problem = self._again.popleft() if self._again else next(self._lines)
        except StopIteration:
            self.ended = bool(self.taken)
            raise
        if "\r" in line:
            line = line.replace("\r", " ")
        self.line += 1
        self.taken.append(line)
        self._problems.append(problem)
        self.problem = self.problem or problem
        self._held += len(line)
        if self._held > self._most and len(self.taken) > 1:
            raise _Open
        return f"{line}\n"

    def give_back(self) -> None:
        """All lines but the first. Where that happens often less is looked ahead: a file that is
        written so on purpose is read in time that grows with its length, not faster."""
        if len(self.taken) > 1:
            self._most = max(_LEAST, self._most // 2)
        later = zip(self.taken[1:], self._problems[1:], strict=True)
        self._again.extendleft(reversed([*later]))
        self.line -= len(self.taken) - 1
        self.problem = self._problems[0] if self._problems else ""
        self.taken = self.taken[:1]


def _spaced(lines: Sequence[str], delimiter: str) -> bool:
    """Whether quotation marks stand after a space, so that they would be part of the cell."""
    return delimiter.strip() != "" and any(f'{delimiter} "' in line for line in lines[:_ROWS])


def _agreement(lines: Sequence[str], dialect: Dialect) -> float:
    """How evenly rows are parted: the share of those with the usual number of cells, more where
    the first is one of them; 0 where they are not parted at all."""
    rows = [*records(((line, "") for line in lines[:_ROWS]), replace(dialect, told=False))]
    # The sample may end within a row.
    rows = rows[:-1] if len(rows) > 1 and rows[-1].problem else rows
    counts = [len(row.cells) for row in rows]
    usual = Counter(counts).most_common(1)[0][0] if counts else 0
    same = counts.count(usual) / max(len(counts), 1)
    if usual < 2 or same < _AGREE:
        return 0.0
    # Without quotes an open one is no mistake; in a TSV that is usual, elsewhere it is not.
    plain = 0.0 if dialect.quoted or dialect.delimiter == "\t" else 0.2
    return round(same + (0.2 if counts[0] == usual else 0.0) - plain, 3)


def usual_count(rows: Iterable[Sequence[str]]) -> int:
    """Cells of most rows, to the last that is not empty."""
    counts = Counter(filled(row) for row in rows)
    return counts.most_common(1)[0][0] if counts else 0


def filled(row: Sequence[str]) -> int:
    """Cells of a row, to the last that is not empty."""
    return max((place + 1 for place, cell in enumerate(row) if cell.strip()), default=0)
