"""``multi_crop``: two views at full size, and small ones of smaller parts.

M. Caron et al., NeurIPS 2020 (arXiv 2006.09882), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from stepwell.interfaces import Batch, Seen
from stepwell.pretexts.base import numbers
from stepwell.pretexts.two_views import TwoViews
from stepwell.views import cut, like

AREA = (0.1, 0.35)
"""Of the image, that a small view shows."""
_WORD = 0x3C0B


class MultiCrop(TwoViews):
    """``two_views`` with ``local`` more of a small part each, at half the side.

    A convnet sees four small views at the price of one more large one. Objectives compare them
    with the large views and not with each other.

    Parameters
    ----------
    recipe : str or sequence of str
    local : int
        Small views.
    """

    name: ClassVar[str] = "multi_crop"

    def __init__(
        self,
        recipe: str | Sequence[str] = ("flip", "zoom"),
        partners: float | None = None,
        local: int = 4,
    ) -> None:
        super().__init__(recipe, partners)
        self.local = local

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {**super().options, "local": self.local}

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 2) -> Seen:
        """The large views, then the small ones."""
        large = super().seen(batch, seed, epoch, views).views
        first = epoch * self.local
        small = [self._small(batch, seed, first + turn) for turn in range(self.local)]
        return Seen([*large, *small])

    def _small(self, batch: Batch, seed: int, turn: int) -> Any:
        u = numbers(batch, seed, turn, _WORD, 3)
        # Other numbers than those of the large views, whose epochs are counted from 0 too.
        images = self.changed(batch, seed ^ _WORD, turn).data["image"]
        share = like(images, np.sqrt(AREA[0] + (AREA[1] - AREA[0]) * u[:, 0]))
        sides = images.shape[1] // 2, images.shape[2] // 2
        return cut(images, share, share, like(images, u[:, 1:]), sides)
