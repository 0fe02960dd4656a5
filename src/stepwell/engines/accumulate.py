"""One pass over the data: pairs to exact moments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from stepwell.engines.moments import DenseMoments
from stepwell.engines.quantise import Quantiser
from stepwell.interfaces import Batch, Encoder, Pairs, Pretext


def codes_of(pairs: Pairs, encoder: Encoder, quantiser: Quantiser) -> Any:
    """int8 codes of the rows of ``pairs``."""
    return quantiser(encoder.embed(pairs.x))


def accumulate(
    batches: Iterable[Batch],
    pretext: Pretext,
    encoder: Encoder,
    quantiser: Quantiser,
    moments: DenseMoments,
    seed: int,
    shuffled: DenseMoments | None = None,
) -> Iterator[tuple[Batch, Any]]:
    """Add every batch's pairs to ``moments``; yield the batch with its own codes.

    Parameters
    ----------
    shuffled : DenseMoments, optional
        Gets the same rows with partners drawn from other examples: the control that
        shows what the pairs themselves add.

    Yields
    ------
    batch, codes : Batch, (n, d) int8
    """
    for batch in batches:
        own = None
        for pairs in pretext.pairs(batch, seed):
            codes = codes_of(pairs, encoder, quantiser)
            moments.add(codes, pairs.unit)
            if shuffled is not None:
                shuffled.add(codes, shuffle_units(pairs))
            if pairs.anchor is not None:
                own = codes[pairs.anchor]
        yield batch, quantiser(encoder.embed(batch)) if own is None else own


def shuffle_units(pairs: Pairs) -> np.ndarray:
    """Units in which every row after the first of a unit is handed on to the next unit.

    A shift instead of a random permutation: no row ever keeps its partner, and nothing
    has to be drawn.
    """
    unit = np.asarray(pairs.unit)
    count = int(unit.max()) + 1 if len(unit) else 0
    order = np.argsort(unit, kind="stable")
    place = np.empty(len(unit), np.intp)
    starts = np.searchsorted(unit[order], np.arange(count))
    place[order] = np.arange(len(unit)) - starts[unit[order]]
    return (unit + place) % max(count, 1)
