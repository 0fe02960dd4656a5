"""Texts as a column of a batch, and tokens that mean no text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PAD, BEGIN, END, MISSING = range(4)
"""Tokens of every vocabulary: nothing, where a text begins and ends, and what is hidden."""
SPECIAL = 4
"""How many these are."""


def column_of(texts: Sequence[str]) -> NDArray[np.object_]:
    """(n,) objects: not as wide as the longest text, as a column of ``str`` would be."""
    column = np.empty(len(texts), object)
    column[:] = texts
    return column
