"""``neighbours``: two parts of an image that stand next to each other.

Relative place: C. Doersch, A. Gupta & A. Efros, ICCV 2015 (arXiv 1505.05192).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from stepwell.interfaces import Batch, Pairs, Seen, concatenate
from stepwell.pretexts.base import OnImages, classes, numbers
from stepwell.views import colour as colours
from stepwell.views import cut, like, render

SHARE, GAP = 0.42, 0.06
"""Side of a part, and of the gap between two, as shares of the image's."""
AROUND = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)])
"""Where the second may be: up and left, up, …, down and right."""
_WORD = 0x4E1B


class Neighbours(OnImages):
    """Tell where the second of two neighbouring parts is, or pair them as they are.

    Each part is changed by the recipe's views of colour for itself; those that move pixels are
    left out, since the parts are drawn at random places anyway and a flip would undo their order.

    Parameters
    ----------
    recipe : str or sequence of str
    """

    name: ClassVar[str] = "neighbours"
    target: ClassVar[Literal["same", "other"]] = "same"
    gives: ClassVar[frozenset[str]] = frozenset({"views", "classes"})
    objective: ClassVar[str] = "cross_entropy"
    classes: ClassVar[Mapping[str, tuple[int, int]]] = {"place": (1, len(AROUND))}

    def __init__(self, recipe: str | Sequence[str] = ("jitter",)) -> None:
        super().__init__(recipe)
        self._own = [view for view in self.views if type(view).__module__ == colours.__name__]

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 2) -> Seen:
        """Both parts, at full size, and the place of the second relative to the first."""
        place = classes(batch, seed, epoch, _WORD, len(AROUND))
        step = AROUND[place] * (SHARE + GAP)
        span = SHARE + np.abs(step)  # of both together
        first = (1 - span) * numbers(batch, seed, epoch, _WORD + 1, 2) + np.maximum(-step, 0)
        parts = [self._part(batch, first + side * step, seed, 2 * epoch + side) for side in (0, 1)]
        return Seen([part.data["image"] for part in parts], {"place": place})

    def _part(self, batch: Batch, start: Any, seed: int, epoch: int) -> Batch:
        images = batch.data["image"]
        share = like(images, np.full(len(batch), SHARE))
        images = cut(images, share, share, like(images, start / (1 - SHARE)))
        return render(batch.with_data(image=images), self._own, seed, epoch)

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit an example: both parts."""
        both = self.seen(batch, seed, epoch).views
        rows = np.arange(len(batch))
        parts = [batch.with_data(image=side) for side in both]
        yield Pairs(concatenate(parts), np.concatenate([rows, rows]))
