"""Labels as people write them down: a table of files, with gaps, repeats and contradictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from unicodedata import normalize

from stepwell.interfaces import UsageError
from stepwell.kit.columns import FILES, IDS, LABELS, first_called
from stepwell.kit.delimited import Dialect, Record, filled, records
from stepwell.kit.escape import from_spreadsheet
from stepwell.kit.lines import lines_of

LOOKED = 200
"""Lines that tell how a table is written."""
NAMED = 3
"""Rows that a message names."""


@dataclass
class LeftOut:
    """What of labels was not used, with the lines of the table it stands in; 0 without a table.

    Attributes
    ----------
    missing : list of (line, file)
        Rows without a label.
    repeated : list of (line, file)
        The same label of the same file again.
    contradictory : list of (file, lines, labels)
        Files with several labels: none of them is believed.
    unknown : list of (line, file)
        Rows that name no example.
    several : list of (line, file)
        Rows that name several examples.
    unread : list of (line, file)
        Labelled examples that can't be read.
    alike : list of (str, str)
        Classes that differ in capitals only; they stay two.
    how : dict
        How labels were read: the columns of a table, or what was decided of a source.
    """

    missing: list[tuple[int, str]] = field(default_factory=list)
    repeated: list[tuple[int, str]] = field(default_factory=list)
    contradictory: list[tuple[str, list[int], list[str]]] = field(default_factory=list)
    unknown: list[tuple[int, str]] = field(default_factory=list)
    several: list[tuple[int, str]] = field(default_factory=list)
    unread: list[tuple[int, str]] = field(default_factory=list)
    alike: list[tuple[str, str]] = field(default_factory=list)
    how: dict[str, Any] = field(default_factory=dict)

    @property
    def unmatched(self) -> int:
        """Rows that name no example, or not one."""
        return len(self.unknown) + len(self.several)

    def __bool__(self) -> bool:
        return any(value for name, value in vars(self).items() if name != "how")

    def lines(self) -> list[str]:
        """What was left out and why, a sentence each."""
        found = [
            _counted(self.unknown, "names no example of this run", "name no example of this run"),
            _counted(self.several, "names several examples", "name several examples"),
            _counted(self.unread, "can't be read", "can't be read"),
            _counted(self.missing, "has no label yet", "have no label yet"),
            _counted(self.repeated, "says the same again", "say the same again"),
        ]
        if self.contradictory:
            some = "; ".join(
                f"{file}: {' or '.join(map(repr, labels))}{_listed(lines)}"
                for file, lines, labels in self.contradictory[:NAMED]
            )
            count = len(self.contradictory)
            many = "1 example has" if count == 1 else f"{count:,} examples have"
            found.append(f"{many} more than one label, none was believed: {some}")
        found += [f"classes {one!r} and {other!r} differ in capitals" for one, other in self.alike]
        return [line for line in found if line]


def _counted(rows: Sequence[tuple[int, str]], one: str, more: str) -> str:
    if not rows:
        return ""
    named = ", ".join(f"line {line}: {file}" if line else file for line, file in rows[:NAMED])
    rest = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
    kind = "row" if any(line for line, _ in rows) else "example"
    count = f"1 {kind} {one}" if len(rows) == 1 else f"{len(rows):,} {kind}s {more}"
    return f"{count} ({named}{rest}): left out"


def _listed(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    return f" (lines {', '.join(map(str, lines[:-1]))} and {lines[-1]})"


@dataclass
class LabelTable:
    """Labels by file as they are written, in their order.

    Attributes
    ----------
    known : dict of file to label
    line : dict of file to int
        Where it stands first.
    said : dict of file to list of (line, label)
        All that is said of each.
    left : LeftOut
    how : dict
        Of a file: the columns of names and labels, and what parts cells.
    """

    known: dict[str, str] = field(default_factory=dict)
    line: dict[str, int] = field(default_factory=dict)
    said: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    left: LeftOut = field(default_factory=LeftOut)
    how: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Any) -> LabelTable:
        """Of a CSV or TSV file with the columns ``file`` and ``label``, or a mapping.

        Raises
        ------
        UsageError
            For a file that can't be read; it names the line.
        """
        if isinstance(table, Mapping):
            rows = ((i, str(k), plain(v)) for i, (k, v) in enumerate(table.items(), start=1))
            return cls._made(rows)
        how: dict[str, str] = {}
        found = cls._made(_read(Path(table), how))
        found.how = how
        return found

    @classmethod
    def _made(cls, rows: Iterable[tuple[int, str, str]]) -> LabelTable:
        found = cls()
        said = found.said
        for line, written, label in rows:
            file = normalize("NFC", written)
            if not label:
                found.left.missing.append((line, file))
                continue
            said.setdefault(file, []).append((line, label))
        for file, each in said.items():
            labels = list(dict.fromkeys(label for _, label in each))
            if len(labels) > 1:
                found.left.contradictory.append((file, [line for line, _ in each], labels))
                continue
            found.known[file], found.line[file] = labels[0], each[0][0]
            found.left.repeated += [(line, file) for line, _ in each[1:]]
        found.left.alike = _alike(found.known.values())
        return found


def plain(label: Any) -> str:
    """A label in words; none for None and for what is not equal to itself: numbers and times that
    are none (NaN, NaT), and pandas' NA, which can't even be compared.

    Words are classes, whatever they are: ``"nan"`` is Min Nan, ``"None"`` may be a class.
    """
    try:
        missing = label is None or bool(label != label)
    except (TypeError, ValueError):
        missing = True
    return "" if missing else str(label).strip()


def _alike(labels: Iterable[str]) -> list[tuple[str, str]]:
    first: dict[str, str] = {}
    pairs = [(first.setdefault(label.lower(), label), label) for label in dict.fromkeys(labels)]
    return [(one, other) for one, other in pairs if one != other]


def _read(path: Path, how: dict[str, str]) -> Iterator[tuple[int, str, str]]:
    """Line, file and label of each row; ``how`` is told what was found out."""
    if not path.is_file():
        raise UsageError(f"Expected labels at {path}, found nothing there: check its name.")
    first = [line for line, _ in islice(lines_of(path), LOOKED)]
    dialect = Dialect.of(first, tab=path.suffix.lower() == ".tsv")
    rows = records(lines_of(path), dialect, strict=True)
    head = next(rows, Record(0, 1, []))
    names = head.cells
    key, label = _columns(path, names)
    how.update(file=names[key].strip(), label=names[label].strip(), delimiter=dialect.words)
    for row in rows:
        _check_row(path, row, names, key)
        told = row.cells[label] if label < len(row.cells) else ""
        # Predictions and suggestions come back as they were written for a spreadsheet.
        file, told = (from_spreadsheet(cell.strip()) for cell in (row.cells[key], told))
        yield row.line, file, told


def _columns(path: Path, names: Sequence[str]) -> tuple[int, int]:
    known = dict(enumerate(names))
    key = first_called(known, (*FILES, *IDS), ends=False)
    label = first_called({k: name for k, name in known.items() if k != key}, LABELS)
    if key is None or label is None:
        raise UsageError(
            f"Expected a header file,label in line 1 of {path}, found "
            f"{','.join(names) or 'nothing'}: name the columns so."
        )
    return key, label


def _check_row(path: Path, row: Record, names: Sequence[str], key: int) -> None:
    if row.problem.startswith("no "):
        raise UsageError(
            f"Expected UTF-8 in {path}, found another encoding in line {row.line}: save it as CSV "
            f"UTF-8."
        )
    if row.problem:
        raise UsageError(f"Expected a CSV file in {path}, found in line {row.line}: {row.problem}.")
    if filled(row.cells) > len(names):
        raise UsageError(
            f"Expected {len(names)} cells in line {row.line} of {path}, found {len(row.cells)}: "
            f"put cells that hold the sign between cells in quotation marks."
        )
    if key >= len(row.cells) or not row.cells[key].strip():
        raise UsageError(f"Expected the name of a file in line {row.line} of {path}, found none.")
