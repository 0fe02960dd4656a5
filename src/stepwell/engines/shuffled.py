"""Founders' pairs, kept: for the control whose pairs mean nothing, and for choices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.engines.accumulate import Encoded, place_within, shuffle_units
from stepwell.engines.broad import Components, broad
from stepwell.engines.quantise import Quantiser
from stepwell.engines.spectral import Choice, SpectralMap, components, solve
from stepwell.kit.hashing import hash_text

MOST = 2000
"""Units that are kept: memory stays bounded."""


class KeptPairs:
    """Codes of founders' pairs, those with the lowest hashes of all there are.

    Founders, because a hash drew them: neighbours in a source may be of one class, and
    pairs shuffled among those would be pairs after all.
    """

    def __init__(self, founders: set[str]) -> None:
        self._founders = founders
        self._codes: list[Any] = []
        self._ranks: list[NDArray[np.uint64]] = []  # of each row's unit: names and orders it

    def offer(self, encoded: Encoded) -> None:
        """Keep the pairs of the founders in a batch."""
        if len(encoded.unit) == 0:
            return
        paired = np.bincount(encoded.unit) > 1
        paired &= np.array([name in self._founders for name, _ in encoded.names])
        rows = np.flatnonzero(paired[encoded.unit])
        if len(rows):
            names = (f"{name}#{turn}" if turn else name for name, turn in encoded.names)
            rank = hash_text(0x5EED, names)
            self._codes.append(np.asarray(encoded.paired[rows]))
            self._ranks.append(rank[encoded.unit[rows]])
            if len(np.unique(np.concatenate(self._ranks))) > 2 * MOST:
                self._prune()

    def _prune(self) -> None:
        ranks, codes = np.concatenate(self._ranks), np.concatenate(self._codes)
        lowest = np.unique(ranks)[:MOST]
        kept = ranks <= lowest[-1]
        self._ranks, self._codes = [ranks[kept]], [codes[kept]]

    def join(self, codes: Any, ranks: NDArray[np.uint64]) -> None:
        """Take over what another has kept of other examples."""
        if len(ranks):
            self._codes.append(codes)
            self._ranks.append(ranks)

    def arrays(self, width: int) -> tuple[Any, NDArray[np.uint64]]:
        """(m, width) int8 codes and the hash of each one's unit, as :meth:`join` takes them."""
        if not self._codes:
            return np.empty((0, width), np.int8), np.empty(0, np.uint64)
        self._prune()
        return self._codes[0], self._ranks[0]

    def rows(self, width: int) -> tuple[Any, NDArray[np.intp]]:
        """(m, width) int8 codes, and the unit of each: the first rows of all units, in an order
        that means nothing, then the second ones, …: shuffled units keep that order within."""
        codes, ranks = self.arrays(width)
        unit = np.unique(ranks, return_inverse=True)[1]
        order = np.argsort(place_within(unit), kind="stable")
        return codes[order], unit[order]

    def shuffled(
        self, quantiser: Quantiser, choice: Choice, moments: Any, axes: Components | None = None
    ) -> tuple[SpectralMap, float]:
        """The map that shuffled pairs give, and the noise level among as many units as there are
        in ``moments``: the largest eigenvalue of shuffled pairs, scaled to as many. ``axes``:
        principal components, where they are known."""
        codes, unit = self.rows(len(quantiser.mean))
        mixed = moments.empty()
        mixed.add(codes, shuffle_units(unit))
        law = mixed.law()
        del mixed  # as large as the law itself
        modes = solve(law, choice)
        top = float(modes.values[0]) if len(modes.values) else 0.0
        noise = top * float(np.sqrt(law.units / max(moments.units, 1)))
        same = replace(law, units=max(moments.units, 1))  # as much of a cosine as ours has
        beside = broad(same, components(law, choice) if axes is None else axes)
        return SpectralMap.build(quantiser, modes, choice, beside), noise
