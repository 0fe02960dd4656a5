"""Words of strangers, such as names of files and classes, where a terminal or a spreadsheet would
take them for something to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_DOES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but for tabs and ends of lines, marks that turn the direction of a text or
that are not seen, and halves of signs."""
_FORMULA = re.compile("^'*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""How cells begin that spreadsheets compute, and those that would look like such after quoting."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def for_terminal(text: str) -> str:
    r"""A text that only shows: an escape is ``\x1b``, a mark that turns directions ``\u202e``."""
    return _DOES.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


def for_json(text: str) -> str:
    """JSON in which such signs are escaped, as JSON has it: the same content."""
    return _DOES.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def for_spreadsheet(cell: Any) -> Any:
    """A cell that is no formula: an apostrophe stands before what begins like one. Numbers stay."""
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def from_spreadsheet(cell: str) -> str:
    """The inverse of :func:`for_spreadsheet`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def formulas(rows: Sequence[Sequence[Any]]) -> int:
    """How many cells :func:`for_spreadsheet` changes."""
    return sum(for_spreadsheet(cell) != cell for row in rows for cell in row)
