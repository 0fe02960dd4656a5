"""Pictures of examples for a page, read once from a run's source."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, StepwellError, concatenate
from stepwell.report.pictures import picture_of
from stepwell.run import Run


class Album:
    """Pictures of the examples a report shows, read once from the source.

    Where the run's own source is gone, ids take the pictures' place.
    """

    def __init__(self, run: Run, src: Any, ids: NDArray[np.str_], shown: Collection[int]) -> None:
        self._ids = ids
        wanted = {str(ids[i]) for i in shown}
        try:
            source = run.own_source() if src is None else run.open(src)
            batches = list(source.batches(256, ids=wanted))
        except (StepwellError, OSError):
            if src is not None:
                raise
            batches = []
        self.batch: Batch | None = concatenate(batches) if batches else None
        known = self.batch.ids if self.batch is not None else ()
        self._row = {str(name): i for i, name in enumerate(known)}
        self._made: dict[int, str] = {}

    def batch_of(self, indices: Iterable[int]) -> Batch | None:
        """Those of these examples that could be read; None if there is none."""
        names = (str(self._ids[int(i)]) for i in indices)
        rows = [self._row[name] for name in names if name in self._row]
        return self.batch.take(np.array(rows)) if self.batch is not None and rows else None

    def picture(self, index: int, score: float | None = None) -> dict[str, Any]:
        """Markup, id and optionally a score of one example."""
        index = int(index)
        if index not in self._made:
            row = self._row.get(str(self._ids[index]))
            known = row is not None and self.batch is not None
            self._made[index] = picture_of(self.batch, row) if known else ""  # type: ignore[arg-type]
        found: dict[str, Any] = {"html": self._made[index], "id": str(self._ids[index])}
        if score is not None:
            found["score"] = round(float(score), 3)
        return found
