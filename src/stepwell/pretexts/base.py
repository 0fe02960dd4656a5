"""What pretexts on images share: a recipe of views, and numbers drawn by an example's content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, UsageError
from stepwell.kit.hashing import keys, uniform
from stepwell.views import View, parse, render


class OnImages:
    """A pretext whose images are first changed by a recipe.

    Parameters
    ----------
    recipe : str or sequence of str
        Names or recipes of views, applied one after the other; see
        :data:`stepwell.views.RECIPES`.
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[str]] = frozenset({"image"})

    def __init__(self, recipe: str | Sequence[str] = ()) -> None:
        self.recipe = (recipe,) if isinstance(recipe, str) else tuple(recipe)
        self.views: list[View] = [view for part in self.recipe for view in parse(part)]

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {"recipe": list(self.recipe)}

    @property
    def anywhere(self) -> bool:
        """Whether it works on arrays of any library, on any device."""
        own = type(self).__module__, *(type(view).__module__ for view in self.views)
        return all(name.startswith("stepwell.") for name in own)

    def changed(self, batch: Batch, seed: int, epoch: int = 0) -> Batch:
        """Every example through the recipe."""
        return render(batch, self.views, seed, epoch)

    def __repr__(self) -> str:
        return f"{self.name}({' + '.join(self.recipe)})"


def numbers(batch: Batch, seed: int, epoch: int, word: int, slots: int) -> NDArray[np.float64]:
    """(n, slots) uniform numbers that content, seed, epoch and use draw, and nothing else."""
    return uniform(keys(batch.digest, seed, epoch, word), slots)


def classes(
    batch: Batch, seed: int, epoch: int, word: int, count: int, slots: int = 1
) -> NDArray[np.intp]:
    """(n, slots) classes from 0 to ``count`` - 1, drawn the same way; (n,) for one slot."""
    drawn = (numbers(batch, seed, epoch, word, slots) * count).astype(np.intp)
    return drawn[:, 0] if slots == 1 else drawn


def refuse_pairs(name: str) -> UsageError:
    """For pretexts that ask for a class, or a text: what the spectral engine says to them."""
    return UsageError(
        f"Expected a pretext that pairs examples for the spectral engine, found {name}, which "
        f"asks for something else. Add --engine gradient (in Python "
        f"engine='gradient'), or leave the pretext out."
    )
