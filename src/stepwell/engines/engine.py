"""The spectral engine as learning uses it: one pass over pairs, then the closed form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from stepwell.engines.accumulate import Known, accumulate
from stepwell.engines.broad import broad
from stepwell.engines.choosing import choose, judging
from stepwell.engines.moments import DenseMoments
from stepwell.engines.placed import moments_for
from stepwell.engines.quantise import Quantiser
from stepwell.engines.shuffled import KeptPairs
from stepwell.engines.spectral import (
    Choice,
    SpectralMap,
    components,
    gradient_modes,
    solve,
    whitening,
)
from stepwell.interfaces import Batch, Encoder, Observer, Pretext, Solution, StepwellError

FOLLOWED = 24
"""Dimensions of which the order in plain gradient descent is told too."""


class SpectralEngine:
    """Exact moments of all pairs; map and controls out of them.

    Parameters
    ----------
    quantiser : Quantiser
        Features to codes; fitted on founders.
    founders : set of str
        Ids of examples a hash drew: they serve the controls and the label-free choice.
    choice : Choice
        What is wanted at most (k) and what holds if nothing is chosen.
    free : bool
        Choose ρ and k without labels; False keeps ``choice``.
    known : Known, optional
        Codes of founders, which need not be made again.
    """

    name: ClassVar[str] = "spectral"

    def __init__(
        self,
        quantiser: Quantiser,
        founders: set[str],
        choice: Choice,
        *,
        free: bool = True,
        known: Known | None = None,
    ) -> None:
        self.quantiser, self.choice, self._free = quantiser, choice, free
        self.founders, self.known = founders, known or Known((), None)
        self.moments: Any = DenseMoments(len(quantiser.mean))
        self._kept = KeptPairs(founders)

    @classmethod
    def prepared(
        cls, features: Any, founders: Sequence[str], choice: Choice, *, free: bool = True
    ) -> Self:
        """The engine for features like these, (n, d) of founders, with their ids."""
        quantiser = Quantiser.fit(features)
        if not np.isfinite(quantiser.scale) or quantiser.scale < 1e-9:
            raise StepwellError(
                "Expected examples that differ, found all alike, or without any structure "
                "(texts: without a word that comes again): there is nothing to learn from them."
            )
        known = Known(founders, np.asarray(quantiser(features)))
        return cls(quantiser, set(founders), choice, free=free, known=known)

    def learn(
        self, batches: Iterable[Batch], pretext: Pretext, encoder: Encoder, seed: int
    ) -> Iterator[tuple[Batch, Any]]:
        """Add the pairs of every batch; yield it with its own (n, d) int8 codes."""
        if not self.moments.units:
            self.moments = moments_for(pretext, self.moments.width)
        parts = (pretext, encoder, self.quantiser, self.moments)
        for encoded in accumulate(batches, *parts, seed, self.known):
            self._kept.offer(encoded)
            yield encoded.batch, encoded.codes

    @property
    def kept(self) -> tuple[Any, Any]:
        """Founders' pairs as :meth:`join` takes them: codes, and hashes of their units."""
        return self._kept.arrays(self.moments.width)

    def join(self, moments: Any, codes: Any, ranks: Any) -> None:
        """Add what another engine has seen of other examples: moments, and what it kept."""
        self.moments = self.moments + moments
        self._kept.join(codes, ranks)

    def shuffled(self) -> SpectralMap:
        """The map that shuffled pairs give."""
        return self._kept.shuffled(self.quantiser, self.choice, self.moments)[0]

    def solve(self, observe: Observer) -> Solution:
        """The closed form, and the controls that know no pairs or shuffled ones."""
        if not self.moments.units:
            raise StepwellError(
                "Expected pairs to learn from, found none: no example got a partner. Try "
                "another pretext, or examples with more in them."
            )
        rows = self._choose(observe) if self._free and self.moments.likeness else []
        observe("solve", {"width": self.moments.width, "units": self.moments.units})
        law = self.moments.law()
        modes = solve(law, self.choice)
        if not len(modes.values):
            raise StepwellError(
                "Expected pairs that share something, found none: no direction is more alike "
                "within pairs than between them. Try other views, or look at the data."
            )
        plain, axes = replace(self.choice, alpha=0.0), components(law, self.choice)
        beside = broad(law, axes), broad(law, axes, law.sigma)  # the control gets what we get
        found = SpectralMap.build(self.quantiser, modes, self.choice, beside[0])
        known = SpectralMap.build(self.quantiser, whitening(law, plain, axes), plain, beside[1])
        first = replace(plain, k=FOLLOWED)
        plainly = self.moments.pooled() if law.squared else law
        first_modes = gradient_modes(plainly, self.quantiser, FOLLOWED)
        gradient = SpectralMap.build(self.quantiser, first_modes, first)
        del law, plainly, modes  # the next law needs their room
        shuffled, noise = self._kept.shuffled(self.quantiser, self.choice, self.moments, axes)
        controls = {"whitening": known, "shuffled": shuffled}
        return Solution(found, controls, noise, rows, gradient)

    def _choose(self, observe: Observer) -> list[dict[str, Any]]:
        """Fix ρ and k on founders' pairs that are taken out of the moments for that."""
        codes, unit = self._kept.rows(self.moments.width)
        found = judging(codes, unit, self.moments)
        if found is None:
            return []
        *judges, theirs = found
        rest = (self.moments - theirs).law()
        del found, theirs  # large
        self.choice, rows = choose(rest, self.quantiser, (judges[0], judges[1]), self.choice)
        observe("choice", {"k": self.choice.k, "rho": self.choice.rho})
        return rows
