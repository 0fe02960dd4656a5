"""Founders' pairs, kept: for the control whose pairs mean nothing, and for choices."""

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


class KeptPairs:
    """Codes of founders' pairs.

    Founders, because a hash drew them: neighbours in a source may be of one class, and
    pairs shuffled among those would be pairs after all.
    """

    def __init__(self, founders: set[str]) -> None:
        self._founders = founders
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

    def rows(self) -> tuple[Any, NDArray[np.intp]]:
        """(m, d) int8 codes, and the unit of each, in an order that means nothing."""
        # A source may be sorted by class: among neighbours, shuffled pairs would be pairs.
        turn = np.random.default_rng(0).permutation(self._count)
        return np.concatenate(self._codes), turn[np.concatenate(self._units)]

    def shuffled(
        self, quantiser: Quantiser, choice: Choice, units: int
    ) -> tuple[SpectralMap, float]:
        """The map that shuffled pairs give, and the noise level among ``units`` units: the
        largest eigenvalue of shuffled pairs, scaled to as many."""
        codes, unit = self.rows()
        moments = DenseMoments(codes.shape[1])
        moments.add(codes, shuffle_units(unit))
        law = moments.law()
        modes = solve(law, choice)
        top = float(modes.values[0]) if len(modes.values) else 0.0
        noise = top * float(np.sqrt(law.units / max(units, 1)))
        return SpectralMap.build(quantiser, modes, choice), noise
