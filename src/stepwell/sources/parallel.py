"""Two files, line by line the same in two languages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import final

from stepwell.interfaces import UsageError
from stepwell.sources.base import WrittenSource
from stepwell.sources.textfiles import TABLES, format_of, lines_of
from stepwell.sources.walk import readable


@final
class ParallelSource(WrittenSource):
    """Pairs of lines: a text, and what it is in another language.

    Parameters
    ----------
    path, target : path
        Plain texts of any name, also .gz, of as many lines each. Lines that are empty on one
        side, or can't be read, are set aside with their partners.
    strict : bool
        Raise at the first pair that can't be read, instead of setting it aside.
    workers : int, optional
        Of no use here.

    Raises
    ------
    UsageError
        If one of them is no file of lines, or they have not as many.
    """

    longest = 20_000

    def __init__(
        self,
        path: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        strict: bool = False,
        workers: int | None = None,
    ) -> None:
        path, self._target = Path(path), Path(target)
        super().__init__(path, readable(path.name.split(".")[0] or path.name), strict, workers)
        for side in (path, self._target):
            if not side.is_file() or format_of(side.name) in TABLES:
                raise UsageError(
                    f"Expected two files of lines (such as train.en and train.de, also .gz), found "
                    f"{side}."
                )
        self.options["target"] = str(self._target.absolute())
        counts = [sum(1 for _ in lines_of(side)) for side in (path, self._target)]
        if counts[0] != counts[1]:
            raise UsageError(
                f"Expected as many lines in both files, found {counts[0]:,} in {path} and "
                f"{counts[1]:,} in {self._target}: each line needs its translation, an empty one "
                f"where there is none."
            )

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every pair in which there is something."""
        for id, _, _ in self._rows(None):
            yield id, id

    def _rows(self, ids: frozenset[str] | None) -> Iterator[tuple[str, dict[str, str], str]]:
        sides = lines_of(self.path or ""), lines_of(self._target)
        for number, (one, other) in enumerate(zip_longest(*sides, fillvalue=("", ""))):
            id, text, target = f"line={number + 1}", one[0].strip(), other[0].strip()
            if not (text or target) or (ids is not None and id not in ids):
                continue
            problem = one[1] or other[1]
            if not problem and not (text and target):
                problem = "no translation" if text else "only a translation"
            yield id, {"text": text, "target": target}, problem
