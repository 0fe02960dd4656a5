"""``transform``: which transformation an image went through.

Rotation: S. Gidaris, P. Singh & N. Komodakis, ICLR 2018 (arXiv 1803.07728).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from stepwell.interfaces import Batch, Pairs, Seen, UsageError
from stepwell.kit.names import nearest
from stepwell.pretexts.base import OnImages, classes, refuse_pairs
from stepwell.views import cut, like, quarter_turns

SCALES = (1.0, 0.75, 0.55, 0.4)
"""Share of each side that is seen, at full size."""
WINDOW = 0.6
"""Share of each side of the nine windows that a translation moves between."""
COUNTS = {"rotation": 4, "scale": len(SCALES), "translation": 9}
_WORD = 0x7A45


class Transform(OnImages):
    """Tell by how much an image was turned, enlarged or moved.

    Parameters
    ----------
    recipe : str or sequence of str
        Views that images are changed by before.
    of : str or sequence of str
        "rotation" (by 0, 90, 180 or 270 degrees), "scale" (of four), "translation" (of nine).
    """

    name: ClassVar[str] = "transform"
    target: ClassVar[Literal["same", "other"]] = "other"
    gives: ClassVar[frozenset[str]] = frozenset({"classes"})
    objective: ClassVar[str] = "cross_entropy"

    def __init__(
        self, recipe: str | Sequence[str] = (), of: str | Sequence[str] = ("rotation",)
    ) -> None:
        super().__init__(recipe)
        self.of = tuple(of.split()) if isinstance(of, str) else tuple(of)
        for name in self.of or ("",):
            if name not in COUNTS:
                raise UsageError(
                    f"Expected transformations ({', '.join(COUNTS)}), found {name!r}."
                    f"{nearest(name, COUNTS)}"
                )

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {**super().options, "of": list(self.of)}

    @property
    def classes(self) -> Mapping[str, tuple[int, int]]:
        """One of so many, for each transformation."""
        return {name: (1, COUNTS[name]) for name in self.of}

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 1) -> Seen:
        """One view of each example, and what was done to it."""
        told = {
            name: classes(batch, seed, epoch, _WORD + place, COUNTS[name])
            for place, name in enumerate(self.of)
        }
        images = self.changed(batch, seed, epoch).data["image"]
        if "scale" in told:
            share = like(images, np.array(SCALES)[told["scale"]])
            images = cut(images, share, share, like(images, np.full((len(batch), 2), 0.5)))
        if "translation" in told:
            share = like(images, np.full(len(batch), WINDOW))
            corner = np.stack(np.divmod(told["translation"], 3), 1) / 2
            images = cut(images, share, share, like(images, corner))
        if "rotation" in told:
            images = quarter_turns(images, like(images, told["rotation"]))
        return Seen([images], told)

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """None: see the error."""
        raise refuse_pairs(self.name)
