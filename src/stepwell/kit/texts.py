"""Texts as a column of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def column_of(texts: Sequence[str]) -> NDArray[np.object_]:
    """(n,) objects: not as wide as the longest text, as a column of ``str`` would be."""
    column = np.empty(len(texts), object)
    column[:] = texts
    return column
