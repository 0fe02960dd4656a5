"""What a path holds: decided here for every source that is built in, by content and by what the
user asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.lines import lines_of
from stepwell.sources.archive import ArchiveSource
from stepwell.sources.arrays import ArraySource
from stepwell.sources.columns import columns_of, kind_of_columns
from stepwell.sources.idx import IdxSource
from stepwell.sources.pillow import extensions
from stepwell.sources.sniff import head_of, is_image, may_be_image
from stepwell.sources.tablefiles import EXTENSIONS, Shards, Table
from stepwell.sources.textcolumns import ANY, Column, looked_at
from stepwell.sources.textfiles import PLAIN, TABLES, format_of, has_words
from stepwell.sources.textfolder import is_about
from stepwell.sources.walk import Found, walk

KINDS = {"image": "image", "images": "image", "text": "text", "texts": "text"}
"""What ``kind`` may be."""
_OF_TEXTS = ("unit", "encoding", "delimiter", "quoting", "header")
_OF_IMAGES = ("group_by", "channels", "scale", "array")
"""Options that only sources of one kind have."""
MOST_FILES = 20_000
"""Files of a folder that are looked at, by name, to tell what it holds."""
_FEW, _SOME, _TIMES = 2, 16, 3
_SHARE, _SHARE_IMAGES = 0.8, 0.9
"""Of the files that could be examples, how many have to be of one kind where both are there:
a few notes beside images are usual, a few pictures in documents too."""


class Kind(NamedTuple):
    """The name of a source in the registry, and why."""

    name: str
    why: str


def kind_of(path: Path, options: Mapping[str, Any], asked: str | None = None) -> Kind | None:
    """Which source reads a path; None where none does.

    Parameters
    ----------
    options : mapping
        What the user asks for: some of it only makes sense for texts, or for images.
    asked : str, optional
        The kind of data, in so many words.

    Raises
    ------
    UsageError
        Where a folder holds several kinds, and it is not clear which is meant.
    """
    wanted, why = _wanted(options, asked)
    found = _of_folder(path, options, wanted) if path.is_dir() else _of_file(path, options, wanted)
    return found if found is None or not why else Kind(found.name, why)


def is_kind(path: Path, name: str) -> bool:
    """Whether a path is read by the source of that name where nothing is asked for."""
    try:
        found = kind_of(path, {})
    except StepwellError:
        return False
    return found is not None and found.name == name


def _wanted(options: Mapping[str, Any], asked: str | None) -> tuple[str | None, str]:
    """The kind of data that is asked for, or that options are for."""
    if asked is not None:
        if asked not in KINDS:
            raise UsageError(f"Expected a kind of data, image or text, found {asked!r}.")
        return KINDS[asked], "as asked"
    for names, kind in ((_OF_TEXTS, "text"), (_OF_IMAGES, "image")):
        if given := [name for name in names if options.get(name) is not None]:
            return kind, f"{given[0]} is given"
    return None, ""


def _of_file(path: Path, options: Mapping[str, Any], wanted: str | None) -> Kind | None:
    for name, kind in (("idx", IdxSource), ("array", ArraySource), ("archive", ArchiveSource)):
        if kind.accepts(path):
            return Kind(name, "by its name")
    if not path.is_file():
        return None
    extension = path.suffix.lower()
    if extension in EXTENSIONS:
        return _of_table(path, options, wanted)
    if wanted == "image" or (wanted is None and extension in extensions()):
        return Kind("folder", "a single image")
    format = format_of(path.name)
    named = any(options.get(name) is not None for name in ("column", "label"))
    if wanted == "text" or (format and named):
        return Kind("text", "a column is named" if named else "")
    if format in PLAIN and has_words(path):
        return Kind("text", "it holds words")
    if format in TABLES and Column.fits(path, format):
        return Kind("text", "a table with a column of words")
    if not format and is_image(head_of(os.fspath(path))):
        return Kind("folder", "a single image, by its first bytes")
    return None


def _of_table(path: Path, options: Mapping[str, Any], wanted: str | None) -> Kind:
    """A table of Arrow's, or a folder of them: images or texts."""
    column, split = options.get("column"), options.get("split")
    several = isinstance(column, str) and "," in column
    kind = wanted
    try:
        kind = wanted or kind_of_columns(
            columns_of(Shards(path, split)), None if several else column
        )
    except UsageError as error:
        if path.is_dir() and "split" in str(error):
            raise
    except StepwellError:
        pass  # whoever reads it has a message for it
    kind = "text" if several else kind
    if kind == "text":
        return Kind("texttable", "a table with a column of texts")
    return Kind("table", "a table with a column of images")


@dataclass
class Survey:
    """Files of a folder that may be examples, by kind."""

    images: list[Found] = field(default_factory=list)
    tables: list[Found] = field(default_factory=list)
    written: list[Found] = field(default_factory=list)
    """Tables of text: CSV, TSV, JSON lines."""
    documents: list[Found] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> Survey:
        """Of the first files of a folder."""
        found, known = cls(), extensions()
        for each in islice(walk(folder), MOST_FILES):
            if each.problem:
                continue
            format = format_of(each.path)
            if each.extension in known:
                found.images.append(each)
            elif each.extension in EXTENSIONS:
                found.tables.append(each)
            elif format in TABLES and each.extension != ".json":
                found.written.append(each)
            elif format in PLAIN:
                found.documents.append(each)
            elif may_be_image(each) and is_image(head_of(each.path)):
                found.images.append(each)
        return found


def _of_folder(path: Path, options: Mapping[str, Any], wanted: str | None) -> Kind:
    if wanted != "text" and IdxSource.accepts(path):
        return Kind("idx", "files of MNIST's format")
    found = Survey.of(path)
    tables = _data_tables(found, options)
    arrow = [each for each in tables if each in found.tables]
    if wanted == "text":
        return Kind("texttable" if arrow and _texts_in(path, options) else "text", "")
    if wanted == "image" and (found.images or not arrow):
        return Kind("folder", "")
    if found.images and tables and not _more_rows(path, tables, len(found.images)):
        tables, arrow = [], []
    if arrow or (found.tables and not found.images):
        return _of_table(path, options, wanted)
    documents = _real_documents(found)
    if tables or (documents and not found.images):
        return Kind("text", f"{len(tables) or len(documents):,} files with texts")
    if not documents:
        return Kind("folder", f"{_upto(found.images)} images")
    share = len(documents) / (len(documents) + len(found.images))
    if share >= _SHARE:
        return Kind("text", f"{_upto(documents)} documents, {len(found.images):,} images")
    if len(documents) <= _FEW or 1 - share >= _SHARE_IMAGES:
        return Kind("folder", f"{_upto(found.images)} images, {len(documents):,} documents")
    raise _both(path, len(found.images), f"{len(documents):,} documents")


def _upto(some: list[Found]) -> str:
    return f"{len(some):,}" if len(some) < MOST_FILES else f"at least {len(some):,}"


def _more_rows(path: Path, tables: list[Found], images: int) -> bool:
    """Whether there are many more rows in tables than images beside them, not many fewer.

    Raises
    ------
    UsageError
        Where there are about as many.
    """
    rows, most = 0, _TIMES * images
    for each in tables:
        rows += _rows_of(each, most - rows)
        if rows >= most:
            return True
    if images >= _TIMES * rows:
        return False
    named = tables[0].id if len(tables) == 1 else f"{len(tables):,} tables"
    raise _both(path, images, f"{rows:,} rows in {named}")


def _rows_of(table: Found, most: int) -> int:
    """Of a table, as far as it matters."""
    with suppress(StepwellError, OSError):
        if table.extension in EXTENSIONS:
            return Table(Path(table.path)).rows()
        return sum(1 for _ in islice(lines_of(table.path), most))
    return 0


def _texts_in(path: Path, options: Mapping[str, Any]) -> bool:
    """Whether tables of Arrow's hold texts."""
    try:
        return kind_of_columns(columns_of(Shards(path, options.get("split")))) == "text"
    except StepwellError:
        return False


def _both(path: Path, images: int, others: str) -> UsageError:
    return UsageError(
        f"Expected one kind of data in {path}, found {images:,} images and {others}: say which is "
        f"meant, -o kind=image or -o kind=text."
    )


def _data_tables(found: Survey, options: Mapping[str, Any]) -> list[Found]:
    """Tables that hold examples themselves, rather than telling something of images beside them."""
    names = {_stem(each.id) for each in found.images} | {_base(each.id) for each in found.images}
    named = options.get("column") is not None
    kept = []
    for each in [*found.tables[:_SOME], *found.written[:_SOME]]:
        arrow = each in found.tables
        if not arrow and not named and not Column.fits(Path(each.path), format_of(each.path)):
            continue
        if names and not named and _about(each, names, arrow):
            continue
        kept.append(each)
    return kept


def _about(table: Found, names: set[str], arrow: bool) -> bool:
    """Whether most cells of some column are names of images."""
    try:
        if arrow:
            cells = columns_of(Shards(Path(table.path))).cells
        else:
            cells = looked_at(table.path, format_of(table.path), ANY).texts
    except StepwellError:
        return True
    for column in cells.values():
        some = [str(cell) for cell in column if isinstance(cell, (str, int)) and str(cell)]
        hits = sum(_base(cell) in names or _stem(cell) in names for cell in some)
        if some and 2 * hits > len(some):
            return True
    return False


def _real_documents(found: Survey) -> list[Found]:
    """Documents in words that are neither about the data nor captions of images beside them."""
    documents = [each for each in found.documents if not is_about(each.path)]
    if not found.images:
        return documents or found.documents
    stems = {os.path.splitext(each.id)[0] for each in found.images}
    alike = sum(os.path.splitext(each.id)[0] in stems for each in documents)
    if 2 * alike >= len(documents):
        return []
    step = max(1, len(documents) // _SOME)
    some = documents[::step][:_SOME]
    worded = sum(has_words(each.path) for each in some)
    return documents if 2 * worded > len(some) else []


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _stem(name: str) -> str:
    return _base(name).rpartition(".")[0] or _base(name)
