"""How unlike all that was learned from an example is.

Distance to the k-th nearest known example (Y. Sun et al., ICML 2022), as a conformal p-value: of
examples like those learned from, a share p at most is told to be as strange as p or stranger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.evaluate.neighbours import similar, unit

NEAREST = 5
ASKED = 2000
KNOWN = 20_000


class Typical:
    """What is usual among known examples.

    Parameters
    ----------
    known : (n, k)
        Embeddings of examples that were learned from.
    """

    def __init__(self, known: NDArray, seed: int = 0) -> None:
        order = np.random.default_rng(seed).permutation(len(known))
        self._known = unit(np.asarray(known)[np.sort(order[:KNOWN])])
        asked = np.sort(np.random.default_rng(seed).permutation(len(self._known))[:ASKED])
        k = min(NEAREST, len(self._known) - 1)
        _, cosine = similar(self._known[asked], self._known, k + 1)
        self._usual = np.sort(cosine[:, k])  # the first is the example itself
        self._k = k

    def __call__(self, rows: NDArray) -> NDArray[np.float64]:
        """(n,) share of known examples that are as strange as each or stranger, above 0 to 1."""
        _, cosine = similar(rows, self._known, self._k)
        stranger = np.searchsorted(self._usual, cosine[:, self._k - 1], side="right")
        return np.asarray((1 + stranger) / (1 + len(self._usual)))
