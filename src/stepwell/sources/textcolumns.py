"""How a table of text is written, and which of its columns hold texts and labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.columns import FILES as FILE_NAMES
from stepwell.kit.columns import (
    NOTES,
    SENTENCE,
    Choice,
    first_called,
    is_header,
    label_column,
    mean_words,
    names_files,
    plain_name,
    text_column,
)
from stepwell.kit.delimited import Dialect, records, usual_count
from stepwell.kit.lines import lines_of
from stepwell.kit.names import nearest
from stepwell.kit.nested import as_label, flat, in_words
from stepwell.sources.jsonfiles import json_rows

LOOKED = 200
"""Rows that tell which column holds the text."""


class Wish(NamedTuple):
    """What the user says of how a table is written; None is found out.

    Attributes
    ----------
    column : str or int
        Name or place of the text; several names, with commas between, are joined.
    label : str or int
        Name or place of the labels.
    """

    column: Any = None
    label: Any = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None


ANY = Wish()


class Column(NamedTuple):
    """Where a table keeps text and label, and how it is written.

    Attributes
    ----------
    text : list of str or int
        Names (of JSON, or of a header: places), one after the other.
    label : str, int or None
    header : int
        Number of the row that names columns; -1 where none does.
    cells : int
        Of a row, mostly; 0 of JSON.
    dialect : Dialect or None
        None of JSON.
    names : mapping of key to str
        What columns are called.
    why, why_label : str
        What they were chosen by.
    """

    text: list[Any]
    label: Any
    header: int
    cells: int
    dialect: Dialect | None
    names: dict[Any, str]
    why: str
    why_label: str

    @classmethod
    def of(cls, path: str | Path, format: str, wish: Wish = ANY) -> Column:
        """Found in the first rows.

        Raises
        ------
        UsageError
            If no column is text, or there is none of that name.
        """
        found = cls._found(path, format, wish)
        if found is None:
            names = ", ".join(map(repr, looked_at(path, format, wish).names.values()))
            listed = f" Columns: {names}." if names else ""
            raise UsageError(
                f"Expected a column of text in {path}, found none in its first rows: "
                f"-o column=NAME names it.{listed}"
            )
        return found

    @classmethod
    def fits(cls, path: Path, format: str, wish: Wish = ANY) -> bool:
        """Whether a table holds text, and does not only name files and their labels."""
        try:
            return cls._found(path, format, wish) is not None
        except StepwellError:
            return True  # its own message says what is wrong with it

    @classmethod
    def _found(cls, path: str | Path, format: str, wish: Wish) -> Column | None:
        look = looked_at(path, format, wish)
        if not look.keys:
            return None
        if wish.column is None:
            named = look.names.values()
            if names_files(named) and not _writing(look):
                return None
            choice = text_column(look.texts, look.names)
            if choice is None:
                return None
            text = [choice.key]
        else:
            text, choice = _asked(path, look, wish.column), Choice(None, "as asked")
        if wish.label is not None:
            label: Choice | None = Choice(_asked(path, look, wish.label)[0], "as asked")
        else:
            label = label_column(look.labels, look.names, text[0] if len(text) == 1 else None)
            label = None if label is None or label.key in text else label
        return cls(
            text,
            label.key if label else None,
            look.header,
            look.cells,
            look.dialect,
            look.names,
            choice.why,
            label.why if label else "",
        )

    def called(self, key: Any) -> str:
        """What a column is called, or its place."""
        return self.names.get(key, f"column {key}")

    @property
    def decisions(self) -> list[tuple[str, str, str]]:
        """(what, value, why) of all that was chosen."""
        found = [("column", ", ".join(map(self.called, self.text)), self.why)]
        if self.label is not None:
            found.append(("label", self.called(self.label), self.why_label))
        if self.dialect is not None:
            found.append(("delimiter", self.dialect.words, "rows are parted evenly by it"))
            told = "names its columns" if self.header >= 0 else "is an example, not their names"
            found.append(("header", "yes" if self.header >= 0 else "no", f"the first row {told}"))
        return found


class Look(NamedTuple):
    """The first rows of a table, by column."""

    keys: list[Any]
    names: dict[Any, str]
    texts: dict[Any, list[str]]
    labels: dict[Any, list[str]]
    header: int
    cells: int
    dialect: Dialect | None


def looked_at(path: str | Path, format: str, wish: Wish) -> Look:
    """What the first rows of a table are."""
    if format == "jsonl":
        rows = [
            flat(row) for _, row, why in islice(json_rows(path, wish.encoding), LOOKED) if not why
        ]
        keys: list[Any] = list(dict.fromkeys(chain(*rows)))
        names = {key: str(key) for key in keys}
        # Texts of which some hold other things are texts.
        texts = {key: [in_words(row.get(key)) or "" for row in rows] for key in keys}
        labels = {key: [as_label(row.get(key)) for row in rows] for key in keys}
        return Look(keys, names, texts, labels, -1, 0, None)
    first = [line for line, _ in islice(lines_of(path, wish.encoding), LOOKED)]
    dialect = Dialect.of(first, tab=format == "tsv", delimiter=wish.delimiter, quoted=wish.quoting)
    given = islice(records(lines_of(path, wish.encoding), dialect), LOOKED)
    found = [row for row in given if row.cells and not row.problem]
    if not found:
        return Look([], {}, {}, {}, -1, 0, dialect)
    top, below = found[0], [row.cells for row in found[1:]]
    headed = wish.header
    if headed is None:
        headed = _names_it(top.cells, wish) or is_header(top.cells, below)
    body = below if headed else [row.cells for row in found]
    keys = list(range(len(top.cells)))
    names = {key: name.strip() for key, name in enumerate(top.cells)} if headed else {}
    columns = {key: [row[key] if key < len(row) else "" for row in body] for key in keys}
    cells = len(top.cells) if headed else usual_count(body)
    return Look(keys, names, columns, columns, top.number if headed else -1, cells, dialect)


def _names_it(cells: Sequence[str], wish: Wish) -> bool:
    """Whether the user names a column as the first row does."""
    plain = {cell.strip() for cell in cells}
    asked = [str(each) for each in (wish.column, wish.label) if each is not None]
    return any(name in plain or plain >= {*_parts(name)} for name in asked)


def _parts(names: str) -> list[str]:
    return [part.strip() for part in names.split(",")]


def _asked(path: str | Path, look: Look, wanted: Any) -> list[Any]:
    """The columns that are meant by a name, by a place, or by several with commas between."""
    known: dict[Any, Any] = {name: key for key, name in look.names.items()}
    plain = {plain_name(name): key for key, name in look.names.items()}

    def one(name: Any) -> Any:
        if name in known:
            return known[name]
        if name in look.keys:
            return name
        if str(name).isdigit() and int(name) in look.keys:
            return int(name)
        return plain.get(plain_name(name))

    single = one(str(wanted).strip()) if not isinstance(wanted, int) else one(wanted)
    found = [single] if single is not None else [one(part) for part in _parts(str(wanted))]
    for name, key in zip([wanted] if len(found) == 1 else _parts(str(wanted)), found, strict=True):
        if key is None:
            listed = ", ".join(map(str, look.names.values() or look.keys))
            raise UsageError(
                f"Expected a column of {path} ({listed}), found {name!r}."
                f"{nearest(str(name), map(str, look.names.values()))}"
            )
    return found


def _writing(look: Look) -> bool:
    """Whether a column with a name of its own holds sentences, and no files are named."""
    if first_called(look.names, FILE_NAMES, ends=False) is not None:
        return False
    return any(
        mean_words(look.texts[key]) >= SENTENCE
        and 2 * len(set(look.texts[key])) > len(look.texts[key])
        for key, name in look.names.items()
        if plain_name(name) not in NOTES
    )
