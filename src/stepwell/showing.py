"""What a network is shown while it is trained: views, and pseudo-labels that are made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from stepwell.engines import units_of
from stepwell.interfaces import Batch, Seen
from stepwell.kit.torch import torch_or_error
from stepwell.pretexts import suited

FURTHEST = 16
"""Examples that a view is handed on by at most: a rank makes views of so many of others."""
RENEWED = 512
"""Examples that are embedded at once for new pseudo-labels."""


def shown_of(pretext: Any, batch: Batch, seed: int, epoch: int, views: int = 2) -> Seen:
    """What a network is shown of a batch; of a pretext that only pairs, the pairs."""
    if hasattr(pretext, "seen"):
        found: Seen = pretext.seen(batch, seed, epoch, views)
        return found
    pairs = next(iter(pretext.pairs(batch, seed, epoch)))
    order, start, _ = units_of(pairs.unit)  # units of two rows or more
    column = next(iter(pairs.x.data.values()))
    return Seen([column[order[start]], column[order[start + 1]]])


def handed_on(view: int, size: int) -> int:
    """By how many examples of a batch a view, or what is told, is handed on for a control: by
    another number each, so that partners are not partners of each other either."""
    return 1 + (view - 1) % min(size - 1, FURTHEST) if view else 0


class Showing:
    """Batches of a pretext on data, for one network.

    Parameters
    ----------
    encoder : NetworkEncoder
        Whose network it is; some pretexts make their pseudo-labels from it.
    pretext : Pretext
    data : Decoded
    seed : int
    fabric : lightning_fabric.Fabric
    """

    def __init__(self, encoder: Any, pretext: Any, data: Any, seed: int, fabric: Any) -> None:
        self.pretext = suited(pretext, len(data))
        self._encoder, self._data, self._seed, self._fabric = encoder, data, seed, fabric
        self._renewed = -1

    def of_rows(self, rows: Any, epoch: int, views: int) -> Seen:
        """What is shown of rows of the data: views are made where the network is."""
        batch = self._data.take(rows)
        if self._fabric.device.type != "cpu" and getattr(self.pretext, "anywhere", False):
            placed = {name: self._encoder.placed(v) for name, v in batch.data.items()}
            batch = batch.with_data(**placed)
        return shown_of(self.pretext, batch, self._seed, epoch, views)

    def shuffled(self, rows: Any, mine: slice, epoch: int, objective: Any) -> Seen:
        """The same of ``mine`` among the rows of a batch, with each example's partners, or what
        is told of it, those of other examples of the batch."""
        size, width = len(rows), mine.stop - mine.start
        reach = min(FURTHEST, size - width)
        around = np.arange(mine.start - reach, mine.stop)
        seen = self.of_rows(rows.take(around, mode="wrap"), epoch, objective.views)

        def cut(values: Any, view: int) -> Any:
            return values[(reach + np.arange(width) - handed_on(view, size)) % len(around)]

        own = [cut(view, 0) for view in seen.views]
        if objective.takes == "hidden":
            hidden = [None if mask is None else cut(mask, 0) for mask in seen.hidden or ()]
            return Seen(own, {}, hidden, [cut(view, 1) for view in seen.views])
        views = [cut(view, number) for number, view in enumerate(seen.views)]
        if objective.takes == "answers":  # what is told of an answer is the answer
            return Seen(views, {name: cut(each, 1) for name, each in seen.told.items()})
        told = {name: cut(each, len(views)) for name, each in seen.told.items()}
        return Seen(views, told)

    def task(self, objective: Any) -> Any:
        """What a class of objectives may have to know of what is shown."""
        from stepwell.objectives import Task

        views, encoder = 1, self._encoder
        if not self.renews:
            views = len(self.of_rows(np.arange(2), 0, objective.views).views)
        places = encoder.places() if objective.reads == "places" else 1
        classes = getattr(self.pretext, "classes", {})
        if hasattr(encoder, "laid_out"):  # of tokens
            of_tokens = {"tokens": len(encoder.tokens), "embedding": encoder.vocabulary}
            return Task(classes, views, places=places, **of_tokens)
        return Task(classes, views, encoder.pixels, places)

    @property
    def renews(self) -> bool:
        """Whether the network makes the pseudo-labels."""
        return hasattr(self.pretext, "renew")

    def renew(self, epoch: int) -> None:
        """Make pseudo-labels anew, where they come from the network and an epoch begins.

        The first of several ranks makes them for all.
        """
        if not self.renews or epoch == self._renewed:
            return
        self._renewed = epoch
        if self._fabric.global_rank == 0:
            count = len(self._data)
            blocks = np.array_split(np.arange(count), -(-count // RENEWED))
            found = np.concatenate([self._encoder.embed(self._data.take(b)) for b in blocks])
            self.pretext.renew(self._data.digests, found, self._seed + epoch)
        # Labels and not features: other ranks would cluster a little otherwise.
        self.pretext.restore(self._fabric.broadcast(self.pretext.state()))

    def forget(self) -> None:
        """The next epoch is the first."""
        self._renewed = -1

    def ends(self, step: int, steps: int, epoch_of: Callable[[int], int]) -> Iterable[int]:
        """Steps after ``step`` that begin an epoch, where pseudo-labels are due then; and the
        last one."""
        if self.renews:
            for later in range(step + 1, steps):
                if epoch_of(later) != epoch_of(later - 1):
                    yield later
        yield steps

    def state(self) -> dict[str, Any]:
        """Pseudo-labels as they are now."""
        as_tensor = torch_or_error().as_tensor
        labels = self.pretext.state() if self.renews else {}
        made = {name: as_tensor(each) for name, each in labels.items()}
        return {"renewed": self._renewed, "labels": made}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._renewed = int(state["renewed"])
        if self.renews:
            self.pretext.restore(state["labels"])
