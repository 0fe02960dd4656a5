"""Masked autoencoding: the pixels of hidden patches, from what is seen of the image.

K. He et al., CVPR 2022 (arXiv 2111.06377): squared error on hidden patches only, whose pixels
are normalised patch by patch. Hidden patches are shown as the mean colour and the decoder is
linear, as in Z. Xie et al., CVPR 2022 (arXiv 2111.09886): so any backbone will do.
"""

from __future__ import annotations

from math import ceil
from typing import ClassVar

import torch
from torch import Tensor, nn

from stepwell.objectives.base import NOTHING, Objective, Task, Told, Views
from stepwell.objectives.hidden import at_pixels, mean_where

EPSILON = 1e-6


class MaskedAutoencoding(Objective):
    """Mean squared error of hidden pixels, in units of the spread of their patch.

    Parameters
    ----------
    pixels : (int, int, int)
        Channels, height and width of the images.
    places : int
        Places the backbone has features of, a square number.
    """

    name: ClassVar[str] = "masked_autoencoding"
    takes: ClassVar[str] = "hidden"
    views: ClassVar[int] = 1
    compares: ClassVar[bool] = False
    reads: ClassVar[str] = "places"
    pixels: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    collapses: ClassVar[bool] = False

    def __init__(
        self, width: int, pixels: tuple[int, int, int] = (3, 32, 32), places: int = 1
    ) -> None:
        super().__init__(width)
        self.shape, self.side = pixels, round(places**0.5)
        self.patch = ceil(max(pixels[1:]) / self.side)
        self.decoder = nn.Linear(width, pixels[0] * self.patch**2)

    @classmethod
    def made(cls, width: int, task: Task) -> MaskedAutoencoding:
        """For a backbone and a task."""
        return cls(width, task.pixels, task.places)

    def loss(self, seen: Views, targets: Views, told: Told = NOTHING) -> Tensor:
        """From (n, 1 + t, width) features of each view: of the whole, and of its places."""
        total = seen[0].new_zeros(())
        for view, features in enumerate(seen):
            wanted = normalised(told["pixels"][:, view], told["hidden"].shape[-1])
            mask = at_pixels(told["hidden"][:, view], *self.shape[1:])
            off = (self.drawn(features[:, 1:]) - wanted).square().mean(1)
            total = total + mean_where(off.flatten(1), mask[:, 0].flatten(1))
        return total / len(seen)

    def drawn(self, places: Tensor) -> Tensor:
        """(n, t, width) features of places → (n, c, h, w) pixels."""
        channels, height, width = self.shape
        patches = self.decoder(places).unflatten(2, (channels, self.patch, self.patch))
        grid = patches.unflatten(1, (self.side, self.side))  # n, rows, columns, c, y, x
        whole = grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
        return whole[:, :, :height, :width]


def normalised(pixels: Tensor, grid: int) -> Tensor:
    """(n, c, h, w) with mean 0 and variance 1 in each of grid x grid patches, all channels
    together; a patch without any structure stays 0."""
    rows, columns = (_patches(size, grid, pixels) for size in pixels.shape[-2:])

    def over_patches(values: Tensor) -> Tensor:
        """The mean of each patch, at its pixels."""
        return rows.T @ (rows @ values.mean(1, keepdim=True) @ columns.T) @ columns

    apart = pixels - over_patches(pixels)
    return apart / (over_patches(apart.square()) + EPSILON).sqrt()


def _patches(size: int, grid: int, like: Tensor) -> Tensor:
    """(grid, size) 1 / √m at the m pixels of each patch: the same patches as those of
    :func:`~stepwell.objectives.hidden.at_pixels`, also where they are not of one size."""
    place = torch.arange(size, device=like.device) * grid // size
    found = (place == torch.arange(grid, device=like.device)[:, None]).to(like.dtype)
    return found / found.sum(1, keepdim=True).clamp(min=1).sqrt()
