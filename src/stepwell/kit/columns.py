"""Columns of tables by name and by content: which holds texts, which labels, which files.

One list of names for every format, and one rule for what they leave open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")

LABELS = (
    "label",
    "labels",
    "class",
    "classes",
    "target",
    "category",
    "sentiment",
    "polarity",
    "emotion",
    "intent",
    "topic",
    "rating",
    "stars",
)
"""What a column of labels may be called, or end with (``airline_sentiment``); the surest first."""
FILES = (
    "file",
    "filename",
    "file name",
    "path",
    "filepath",
    "file path",
    "image",
    "image path",
    "image file",
    "img",
    "photo",
    "picture",
)
"""What a column of files may be called."""
IDS = ("id", "name", "image id", "key", "uid", "uuid", "index")
"""What a column that names examples in another way may be called."""
TEXTS = (
    "text",
    "sentence",
    "review",
    "content",
    "body",
    "document",
    "comment",
    "abstract",
    "tweet",
    "message",
    "article",
    "post",
    "passage",
    "utterance",
    "transcript",
    "caption",
    "description",
)
"""What a column of texts may be called, or end with (``review_text``)."""
HEADINGS = ("title", "headline", "subject", "summary", "heading")
"""Texts too, but of few words: where there is nothing else."""
NOTES = (*HEADINGS, "comment", "abstract", "caption", "description")
"""Beside names of examples and their labels these are notes, not the examples."""
LONG_NAME = 3
"""Words from which on what stands above a column is no name of it."""
SURE = 6
"""How many of the names mean text for sure, beside names of files too."""
WORDS, SENTENCE = 1.5, 4.0
"""Words a cell of text has at least, on average; and beside names and labels, where it may be a
note."""
LONGER = 3.0
"""How many times as many words as a column that is called one of texts make another the text."""
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f\uf900-\ufaff]")
"""Signs of languages that put no spaces between words."""


def plain_name(name: object) -> str:
    """In lower case, with single spaces for what parts words: ``"Review_Text "`` → review text."""
    return re.sub(r"[\s_.-]+", " ", str(name)).strip().lower()


def called(name: object, known: Sequence[str]) -> int | None:
    """Which of ``known`` a column is called, or else (behind all of them) ends with; None of them
    is None."""
    plain = plain_name(name)
    if plain in known:
        return known.index(plain)
    last = plain.rpartition(" ")[2]
    named = 0 < plain.count(" ") < LONG_NAME and last in known  # a sentence is no name
    return len(known) + known.index(last) if named else None


def first_called(
    names: Mapping[Key, object], known: Sequence[str], *, ends: bool = True
) -> Key | None:
    """The column whose name stands first among ``known``."""
    ranks = {key: called(name, known) for key, name in names.items()}
    fits = {k: r for k, r in ranks.items() if r is not None and (ends or r < len(known))}
    return min(fits, key=lambda key: fits[key], default=None)


def words(cell: str) -> float:
    """About how many words; of languages without spaces two signs are taken for one."""
    return len(cell.split()) + (len(_WIDE.findall(cell)) / 2 if not cell.isascii() else 0)


def mean_words(cells: Sequence[str]) -> float:
    """Of a column."""
    return sum(map(words, cells)) / max(len(cells), 1)


class Choice(NamedTuple):
    """A column, and why."""

    key: object
    why: str


def text_column(columns: Mapping[Key, Sequence[str]], names: Mapping[Key, object]) -> Choice | None:
    """The column with the texts: called so, or with most words.

    Parameters
    ----------
    columns : mapping
        Cells of the first rows.
    names : mapping
        What columns are called; none where there is no header.
    """
    if not columns:
        return None
    count = {key: mean_words(cells) for key, cells in columns.items()}
    most = max(count, key=lambda key: count[key])
    named = {
        key: rank
        for key in columns
        if key in names
        and (rank := called(names[key], TEXTS)) is not None
        and plain_name(names[key]).partition(" ")[0] not in LABELS
    }
    longest = max(named, key=lambda key: (count[key], -named[key]), default=None)
    if longest is not None:
        sure = next((key for key, rank in named.items() if rank == 0), None)
        if sure is not None and count[sure] >= 1:
            return Choice(sure, "it is called so")
        if count[most] <= LONGER * max(count[longest], 1 / LONGER):
            return Choice(longest, f"by its name, {count[longest]:.3g} words on average")
    if count[most] >= WORDS:
        return Choice(most, f"it has most words, {count[most]:.3g} on average")
    headed = first_called({k: n for k, n in names.items() if k in columns}, HEADINGS)
    return None if headed is None else Choice(headed, "by its name")


def label_column(
    columns: Mapping[Key, Sequence[str]], names: Mapping[Key, object], text: object
) -> Choice | None:
    """The column with the labels: called so, or the only one in which a few values come again and
    again."""
    rest = {key: name for key, name in names.items() if key != text and key in columns}
    named = first_called(rest, LABELS)
    if named is not None and (
        called(names[named], LABELS[:4]) is not None
        or few(columns[named], len(columns[named]) // 2)
    ):
        return Choice(named, "it is called so")
    again = [key for key, cells in columns.items() if key != text and few(cells)]
    if names:  # numbers are measures, as ages and prices, unless there is no name to tell
        again = [key for key in again if not all(map(is_number, filter(None, columns[key])))]
        again = again if len(again) == 1 else []
    if not again:
        return None
    return Choice(again[0], "its few values come again and again")


def few(cells: Sequence[str], most: int | None = None) -> bool:
    """Whether a column holds a few values that come again and again."""
    filled = [cell for cell in cells if cell.strip()]
    count = len(set(filled))
    again = 2 * count <= len(filled)
    return again and 1 < count <= max(2, len(cells) // 10 if most is None else most)


def is_number(cell: str) -> bool:
    """Whether a cell is a number, in one of the usual ways of writing one."""
    return bool(re.fullmatch(r"\s*[-+]?(\d+([.,]\d*)*|[.,]\d+)([eE][-+]?\d+)?\s*%?", cell))


def names_files(names: Iterable[object]) -> bool:
    """Whether a table with these columns gives labels to files, or to examples by their names."""
    plain = {plain_name(name) for name in names}
    labelled = any(called(name, LABELS) is not None for name in plain)
    sure = any(called(name, TEXTS[:SURE]) is not None for name in plain)
    return labelled and (bool(plain & set(FILES)) or (bool(plain & set(IDS)) and not sure))


def is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: by names that are known, or as it is unlike the others.

    It is where a column of numbers begins with a word, one of classes with a word that comes
    never again, or one of texts with a word or two; it is not, where one of its cells is a number,
    is there twice, or is one of the classes.
    """
    cells = [cell.strip() for cell in first]
    filled = [cell for cell in cells if cell]
    if not filled or any(map(is_number, filled)):
        return False
    if any(called(cell, known) is not None for cell in filled for known in (LABELS, TEXTS)):
        return _short(filled)
    if {plain_name(cell) for cell in filled} & {*FILES, *IDS, *HEADINGS}:
        return _short(filled)
    if len(set(filled)) < len(filled) or not rows or not _short(filled):
        return False
    votes = 0
    for place, cell in enumerate(cells):
        column = [row[place] for row in rows if place < len(row) and row[place].strip()]
        if not column or not cell:
            continue
        if few(column) and cell in column:
            return False
        mean = mean_words(column)
        votes += all(map(is_number, column)) or few(column)
        votes += mean >= SENTENCE and words(cell) <= min(2, mean / 3)
    return votes > 0


def _short(cells: Sequence[str]) -> bool:
    return all(len(cell) <= 64 and words(cell) <= 6 for cell in cells)
