"""The control whose pairs mean nothing, and the noise level it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.engines.accumulate import Encoded, shuffle_units
from stepwell.engines.moments import DenseMoments
from stepwell.engines.quantise import Quantiser
from stepwell.engines.spectral import Choice, SpectralMap, solve

MOST = 2000
"""Units that are kept: memory stays bounded."""


class ShuffledPairs:
    """Codes of founders' pairs, for the control whose partners are shuffled.

    Founders, because a hash drew them: neighbours in a source may be of one class, and
    pairs shuffled among those would be pairs after all.
    """

    def __init__(self, founders: set[str], width: int) -> None:
        self._top, self._law_units = 0.0, 1
        self._founders, self._width = founders, width
        self._codes: list[Any] = []
        self._units: list[NDArray[np.intp]] = []
        self._count = 0

    def offer(self, encoded: Encoded) -> None:
        """Keep the pairs of the founders in a batch."""
        if len(encoded.unit) == 0 or self._count >= MOST:
            return
        known = np.array([str(i) in self._founders for i in encoded.batch.ids])
        size = int(encoded.unit.max()) + 1
        if size != len(known):
            known = np.ones(size, bool)
        rows = np.flatnonzero(known[encoded.unit])
        if len(rows):
            _, unit = np.unique(encoded.unit[rows], return_inverse=True)
            self._codes.append(np.asarray(encoded.paired[rows]))
            self._units.append(unit + self._count)
            self._count += int(unit.max()) + 1

    def solve(self, quantiser: Quantiser, choice: Choice) -> SpectralMap:
        """The map that shuffled pairs give."""
        moments = DenseMoments(self._width)
        # In random order first: a shift among neighbours in a folder pairs like with like.
        turn = np.random.default_rng(0).permutation(self._count)
        unit = shuffle_units(turn[np.concatenate(self._units)])
        moments.add(np.concatenate(self._codes), unit)
        law = moments.law()
        modes = solve(law, choice)
        self._top = float(modes.values[0]) if len(modes.values) else 0.0
        self._law_units = law.units
        return SpectralMap.build(quantiser, modes, choice)

    def noise(self, units: int) -> float:
        """Largest eigenvalue of shuffled pairs, scaled to as many units as were learned."""
        return self._top * float(np.sqrt(self._law_units / max(units, 1)))
