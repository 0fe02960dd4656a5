"""``missing``: what is hidden belongs to what is seen.

Masked patches: K. He et al., CVPR 2022 (arXiv 2111.06377), Z. Xie et al., CVPR 2022 (arXiv
2111.09886). As prediction in feature space: A. Baevski et al., ICML 2022 (arXiv 2202.03555).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Pairs, Seen, UsageError, concatenate
from stepwell.pretexts.base import OnImages, numbers
from stepwell.views import like

_WORD = 0x3A5C


class Missing(OnImages):
    """Hide a share of the patches of a grid, drawn at random.

    Parameters
    ----------
    recipe : str or sequence of str
        Views that images are changed by before.
    share : float
        Of the patches that are hidden.
    grid : int
        Patches a side.
    """

    name: ClassVar[str] = "missing"
    target: ClassVar[Literal["same", "other"]] = "same"
    gives: ClassVar[frozenset[str]] = frozenset({"hidden"})
    objective: ClassVar[str] = "masked_autoencoding"

    def __init__(self, recipe: str | Sequence[str] = (), share: float = 0.6, grid: int = 8) -> None:
        super().__init__(recipe)
        self.share, self.grid, patches = share, grid, grid * grid
        if not 0 < round(share * patches) < patches:
            raise UsageError(
                f"Expected a share that hides some of {patches} patches and not all, found {share}."
            )

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {**super().options, "share": self.share, "grid": self.grid}

    def hidden(self, batch: Batch, seed: int, epoch: int) -> NDArray[np.bool_]:
        """(n, grid, grid): as many of each image."""
        drawn = numbers(batch, seed, epoch, _WORD, self.grid**2)
        ranks = drawn.argsort(1, kind="stable").argsort(1, kind="stable")
        found = ranks < round(self.share * self.grid**2)
        return found.reshape(-1, self.grid, self.grid)

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 1) -> Seen:
        """So many views of each example, each with patches of its own hidden."""
        epochs = [epoch * views + view for view in range(views)]
        images = [self.changed(batch, seed, each).data["image"] for each in epochs]
        return Seen(images, hidden=[self.hidden(batch, seed, each) for each in epochs])

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit an example: what is seen, and what is hidden; the rest of each is grey."""
        whole, rows = self.changed(batch, seed, epoch), np.arange(len(batch))
        hidden = self.hidden(batch, seed, epoch)
        parts = [_covered(whole, mask) for mask in (hidden, ~hidden)]
        yield Pairs(concatenate(parts), np.concatenate([rows, rows]))


def _covered(batch: Batch, mask: NDArray[np.bool_]) -> Batch:
    """Patches of the mean colour where the mask is."""
    images = batch.data["image"]
    xp, (height, width) = array_namespace(images), images.shape[1:3]
    y, x = (np.arange(size) * mask.shape[1] // size for size in (height, width))
    pixels = like(images, mask[:, y][:, :, x])[..., None]
    mean = xp.mean(images, axis=(1, 2), keepdims=True)
    return batch.with_data(image=xp.where(pixels, mean, images))
