"""``order``: an image's tiles, shuffled; in which order were they?

Permutation classes: M. Noroozi & P. Favaro, ECCV 2016 (arXiv 1603.09246); on whole images
F. M. Carlucci et al., CVPR 2019 (arXiv 1903.06864).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, permutations
from typing import Any, ClassVar, Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Pairs, Seen, UsageError, concatenate
from stepwell.pretexts.base import OnImages, classes, numbers
from stepwell.views import cut, like

KEPT = 0.85
"""Share of a tile's side that is shown, at a place drawn at random: borders would tell."""
MOST = 64
"""Permutations that are told apart."""
_WORD = 0x0D7E


class Order(OnImages):
    """Put shuffled tiles in order.

    Parameters
    ----------
    recipe : str or sequence of str
        Views that images are changed by before.
    grid : int
        Tiles a side, 2 or 3.
    of : "permutation" or "pairs"
        Tell which of so many permutations it was; or, for each two tiles, which of them was
        further to the left, and which further up.
    """

    name: ClassVar[str] = "order"
    target: ClassVar[Literal["same", "other"]] = "same"
    gives: ClassVar[frozenset[str]] = frozenset({"classes"})
    objective: ClassVar[str] = "cross_entropy"

    def __init__(
        self, recipe: str | Sequence[str] = (), grid: int = 2, of: str = "permutation"
    ) -> None:
        super().__init__(recipe)
        if grid not in (2, 3):
            raise UsageError(f"Expected 2 or 3 tiles a side, found {grid}.")
        if of not in ("permutation", "pairs"):
            raise UsageError(f"Expected an order of permutation or pairs, found {of!r}.")
        self.grid, self.of = grid, of

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {**super().options, "grid": self.grid, "of": self.of}

    @property
    def classes(self) -> Mapping[str, tuple[int, int]]:
        """One permutation; or, of each two tiles and both axes, before, level or after."""
        if self.of == "permutation":
            return {"permutation": (1, len(apart(self.grid**2)))}
        tiles = self.grid**2
        return {"pairs": (tiles * (tiles - 1), 3)}

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 1) -> Seen:
        """One image of shuffled tiles each, and their order."""
        known = apart(self.grid**2)
        chosen = classes(batch, seed, epoch, _WORD, len(known))
        images = self.changed(batch, seed, epoch).data["image"]
        move = numbers(batch, seed, epoch, _WORD + 1, 2 * self.grid**2)
        shuffled = _tiled(images, known[chosen], move, self.grid)
        if self.of == "permutation":
            return Seen([shuffled], {"permutation": chosen})
        return Seen([shuffled], {"pairs": relations(known[chosen], self.grid)})

    @property
    def partners(self) -> float:
        """Rows of a unit: what encoding takes."""
        return float(self.grid**2)

    @property
    def places(self) -> NDArray[np.intp]:
        """(tiles, 2): row and column of each tile of a unit; pairs are told apart by how one
        lies to the other."""
        return np.stack(np.divmod(np.arange(self.grid**2), self.grid), 1)

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit an example: its tiles at full size, in order."""
        images = self.changed(batch, seed, epoch).data["image"]
        move = numbers(batch, seed, epoch, _WORD + 1, 2 * self.grid**2)
        share = like(images, np.full(len(batch), KEPT / self.grid))
        tiles = [
            batch.with_data(image=cut(images, share, share, like(images, start)))
            for start in _starts(self.places, move, self.grid)
        ]
        yield Pairs(concatenate(tiles), np.tile(np.arange(len(batch)), len(tiles)))


@lru_cache(maxsize=4)
def apart(tiles: int) -> NDArray[np.intp]:
    """(p, tiles) permutations, all of four or :data:`MOST` that differ in many places: each
    next one is the one whose nearest is furthest (by Hamming distance) among 5,000 drawn."""
    if tiles <= 4:
        return np.array(list(permutations(range(tiles))))
    drawn = np.random.default_rng(0).permuted(np.tile(np.arange(tiles), (5000, 1)), axis=1)
    chosen, nearest = [0], (drawn != drawn[0]).sum(1)
    while len(chosen) < MOST:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, (drawn != drawn[chosen[-1]]).sum(1))
    return drawn[chosen]


def relations(source: NDArray[np.intp], grid: int) -> NDArray[np.intp]:
    """(n, tiles (tiles - 1)): of each two slots, rows first and then columns, whether the first
    one's tile came before (0), level with (1) or after (2) that of the second."""
    places = np.stack(np.divmod(source, grid))  # (2, n, tiles)
    one, other = np.array(list(combinations(range(grid**2), 2))).T
    signs = np.sign(places[:, :, one] - places[:, :, other]) + 1
    return np.concatenate(list(signs), axis=1)


def _tiled(images: Any, source: NDArray[np.intp], move: NDArray, grid: int) -> Any:
    """Images whose tile at each slot is the one at ``source`` (n, tiles)."""
    xp, side = array_namespace(images), min(images.shape[1:3]) // grid
    shares = like(images, np.full(len(source), KEPT / grid))
    cells = np.stack(np.divmod(source.T, grid), 2)
    tiles = [
        cut(images, shares, shares, like(images, start), (side,) * 2)
        for start in _starts(cells, move, grid)
    ]
    rows = [xp.concat(tiles[at : at + grid], axis=2) for at in range(0, len(tiles), grid)]
    return xp.concat(rows, axis=1)


def _starts(cells: NDArray[np.intp], move: NDArray, grid: int) -> list[NDArray]:
    """Where what is kept of the tile at each slot begins, as a share of the room there is: tiles
    (slots, 2) or (slots, n, 2) by row and column, moved within their cell by ``move`` (n, 2 slots).
    """
    return [
        (cell + (1 - KEPT) * move[:, 2 * slot : 2 * slot + 2]) / grid / (1 - KEPT / grid)
        for slot, cell in enumerate(cells)
    ]
