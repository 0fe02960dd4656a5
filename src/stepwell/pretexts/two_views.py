"""``two_views``: an example and a changed view of it belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from stepwell.interfaces import Batch, Pairs, Seen, concatenate
from stepwell.kit.hashing import keys, uniform
from stepwell.pretexts.base import OnImages
from stepwell.views import RECIPES

FAMILIES: dict[str, tuple[str, ...]] = {
    "position": ("zoom-strong", "zoom", "zoom-mild", "shift"),
    "colour": ("jitter", "jitter-mild"),
}
"""Candidates of the label-free choice, the strongest of each family first.

Only changes that the world makes too: where the camera stands, and the light. Alone, blur,
noise and hidden boxes gave nothing on four data sets that these do not give
(benchmarks/views.py), and they teach blindness to detail.
"""

PAIRED = 12_000
"""Partners in all, about, where there are more examples than that."""
FEWEST = 0.05
"""Partners an example gets at least: the controls need some among the founders."""
MOST = 2
"""Partners an example gets at most; four taught no more than two."""


class TwoViews(OnImages):
    """Each example as it is, and seen through a chain of random views.

    One of the two stays untouched: its code is needed anyway for the embedding, and the
    pairs are worth as much (docs/measurements.md).

    Parameters
    ----------
    recipe : str or sequence of str
        Names or recipes of views, applied one after the other; see
        :data:`stepwell.views.RECIPES`.
    partners : float, optional
        Partners an example gets: a whole number, or below 1 the share of examples, drawn by
        their digest, that get one. None: by the amount of data, see :meth:`suited`. A part
        of the recipe, so that runs with the same founders still add up exactly.
    """

    name: ClassVar[str] = "two_views"
    target: ClassVar[Literal["same", "other"]] = "same"
    gives: ClassVar[frozenset[str]] = frozenset({"views"})
    objective: ClassVar[str] = "barlow_twins"
    gentlest: ClassVar[str] = "shift"
    """The view that surely changes nothing: what others are measured against."""

    def __init__(
        self, recipe: str | Sequence[str] = ("flip", "zoom"), partners: float | None = None
    ) -> None:
        super().__init__(recipe)
        self.partners = partners

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {**super().options, "partners": self.partners}

    def suited(self, examples: int) -> TwoViews:
        """With as many partners as pay for so many examples, where none were asked for.

        Encoding partners is up to half the cost, and partners of 12,000 images taught as much
        as partners of 40,000; but of 1,200, a second partner each was worth a point.
        """
        if self.partners is not None:
            return self
        wanted = max(FEWEST, PAIRED / max(examples, 1))
        partners = wanted if wanted < 1 else float(min(MOST, int(wanted)))
        return type(self)(**{**self.options, "partners": partners})

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 2) -> Seen:
        """So many changed views of every example: to a network the untouched one teaches less."""
        first = epoch * views
        return Seen([self.changed(batch, seed, first + v).data["image"] for v in range(views)])

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit an example: itself and its partners."""
        partners = 1.0 if self.partners is None else self.partners
        rows = np.arange(len(batch))
        drawn = uniform(keys(batch.digest, seed, epoch, 0x5A4E), 1)[:, 0] < partners
        chosen = np.flatnonzero(drawn)
        copies = max(1, int(partners)) if len(chosen) else 0
        seen = [
            self.changed(batch.take(chosen), seed, epoch * copies + copy) for copy in range(copies)
        ]
        unit = np.concatenate([rows, np.tile(chosen, copies)])
        yield Pairs(concatenate([batch, *seen]), unit, anchor=rows)

    @staticmethod
    def candidates() -> Mapping[str, Sequence[TwoViews]]:
        """Families of single-view pretexts, the strongest first: what a choice tries."""
        return {
            family: [TwoViews(name) for name in names if name in RECIPES]
            for family, names in FAMILIES.items()
        }
