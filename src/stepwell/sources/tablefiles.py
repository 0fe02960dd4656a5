"""Files of tables on disk: which belong to a split, and reading one column of one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest
from stepwell.sources.pillow import extensions
from stepwell.sources.walk import readable, walk

EXTENSIONS = frozenset((".parquet", ".pq", ".arrow", ".feather", ".ipc", ".arrows"))
ROWS = 64
"""Rows of a Parquet file decoded at a time."""

_SPLIT = re.compile(r"^(train|test|validation|valid|val|dev|unsupervised)(?=[-_.]|$)", re.I)


def table_files(path: Path) -> list[tuple[str, Path]]:
    """(id prefix, file) of every table below a folder; for a file, its name and itself."""
    if not path.is_dir():
        return [(readable(path.name), path)]
    found = [
        (found.id, Path(found.path))
        for found in walk(path)
        if found.extension in EXTENSIONS and not found.problem
    ]
    # `datasets` leaves results of its own computations beside the data.
    found = [(id, file) for id, file in found if not file.name.startswith("cache-")]
    return [pair for pair in found if _listed(pair[1])]


def _listed(file: Path) -> bool:
    """Whether a file is part of the data, where ``save_to_disk`` noted which are."""
    try:
        state = json.loads((file.parent / "state.json").read_bytes())
        return file.name in {entry["filename"] for entry in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return True


def of_split(path: Path, wanted: str | None) -> tuple[list[tuple[str, Path]], str | None]:
    """The files of a split, and its name if the folder has several.

    A split is a folder (``train/…``) or the beginning of a file's name (``train-00000…``).

    Raises
    ------
    UsageError
        If there is no such split, or several and none called train.
    """
    files = table_files(path)
    splits = {_split_of(prefix) for prefix, _ in files} - {None} if path.is_dir() else set()
    names = ", ".join(sorted(map(str, splits)))
    if wanted is None and (not splits or len(splits) == 1):
        return files, None
    if wanted is None and "train" not in splits:
        raise UsageError(f"Expected a split to read in {path}, found {names}: name one of them.")
    split = wanted or "train"
    if split not in splits:
        raise UsageError(
            f"Expected a split of {path}, found {split!r}.{nearest(split, map(str, splits))} "
            f"Splits: {names or 'none; leave it out'}."
        )
    return [pair for pair in files if _split_of(pair[0]) == split], split


def _split_of(prefix: str) -> str | None:
    for part in prefix.split("/"):
        if match := _SPLIT.match(part):
            return match[0]
    return None


class Table:
    """One file; opened anew for each reading, and mapped rather than loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def schema(self) -> Any:
        """The columns."""
        with self._reader() as reader:
            return reader.schema_arrow if _is_parquet(self.file) else reader.schema

    def rows(self) -> int:
        """Number of rows."""
        with self._reader() as reader:
            if _is_parquet(self.file):
                return int(reader.metadata.num_rows)
            return sum(batch.num_rows for batch in _arrow_batches(reader))

    def batches(self, column: str) -> Iterator[Any]:
        """The column, one Arrow array after the other.

        Raises
        ------
        StepwellError
            If the file turns out damaged, or has no such column.
        """
        with self._reader() as reader:
            schema = reader.schema_arrow if _is_parquet(self.file) else reader.schema
            if column not in schema.names:
                raise StepwellError(
                    f"Expected column {column!r} in {self.file}, found "
                    f"{', '.join(schema.names)}: the tables of a folder need the same columns."
                )
            if _is_parquet(self.file):
                for batch in reader.iter_batches(batch_size=ROWS, columns=[column]):
                    yield batch.column(0)
            else:
                for batch in _arrow_batches(reader):
                    yield batch.column(column)

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        """The file as a Parquet reader, an Arrow file reader or an Arrow stream reader."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            if _is_parquet(self.file):
                with parquet.ParquetFile(self.file, memory_map=True, pre_buffer=False) as reader:
                    yield reader
                return
            with pa.memory_map(str(self.file)) as mapped:
                is_file = mapped.read(6) == b"ARROW1"
                mapped.seek(0)
                with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(mapped) as reader:
                    yield reader
        except (pa.ArrowException, OSError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise StepwellError(
                f"Expected a table in {self.file}, found one that can't be read ({text}): "
                f"download or write it again."
            ) from None


class Shards:
    """The tables of a split, one after the other; ids name table and row.

    Parameters
    ----------
    path : path
        A table, or a folder of them.
    split : str, optional
        Default: ``train`` if there is one.

    Raises
    ------
    UsageError
        If there is no such split.
    """

    def __init__(self, path: Path, split: str | None = None) -> None:
        files, self.split = of_split(path, split)
        self._tables = [(prefix, Table(file)) for prefix, file in files]

    @property
    def first(self) -> Table:
        """Whose columns are looked at."""
        return self._tables[0][1]

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every row; no cell is read."""
        for prefix, table in self._tables:
            for row in range(table.rows()):
                yield f"{prefix}#row={row}", f"{prefix}#row={row}"

    def cells(self, column: str) -> Iterator[tuple[str, Any, Path]]:
        """Id and value of every row, and the folder that paths in it start from."""
        for prefix, table in self._tables:
            each = (cell for part in table.batches(column) for cell in part)
            for row, cell in enumerate(each):
                yield f"{prefix}#row={row}", cell.as_py(), table.file.parent


def holds_tables(path: Path) -> bool:
    """Whether it is a table, or a folder with tables but no images: a table beside images says
    something about them. Large folders of images are left at their first."""
    if not path.is_dir():
        return path.is_file() and path.suffix.lower() in EXTENSIONS
    some = False
    for found in walk(path):
        if found.extension in extensions() and not found.problem:
            return False
        some |= found.extension in EXTENSIONS
    return some


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() in (".parquet", ".pq")


def _arrow_batches(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)
