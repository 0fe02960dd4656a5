"""Engines find an encoder for a stream of pairs. ``spectral``: moments, then a closed form."""

from stepwell.engines.accumulate import Encoded, Known, accumulate, shuffle_units
from stepwell.engines.broad import USES
from stepwell.engines.centred import CentredMoments
from stepwell.engines.dictionary import Dictionary, PairCounts
from stepwell.engines.engine import SpectralEngine
from stepwell.engines.moments import DenseMoments, Law, units_of
from stepwell.engines.ngram import NgramCounts, NgramModel
from stepwell.engines.placed import PlacedMoments, moments_for
from stepwell.engines.quantise import Quantiser
from stepwell.engines.shuffled import KeptPairs
from stepwell.engines.spectral import (
    Choice,
    Modes,
    SpectralMap,
    auto_law,
    solve,
    whitening,
)

MOMENTS = {made.name: made for made in (DenseMoments, PlacedMoments)}

__all__ = [
    "MOMENTS",
    "USES",
    "CentredMoments",
    "Choice",
    "DenseMoments",
    "Dictionary",
    "Encoded",
    "KeptPairs",
    "Known",
    "Law",
    "Modes",
    "NgramCounts",
    "NgramModel",
    "PairCounts",
    "PlacedMoments",
    "Quantiser",
    "SpectralEngine",
    "SpectralMap",
    "accumulate",
    "auto_law",
    "moments_for",
    "shuffle_units",
    "solve",
    "units_of",
    "whitening",
]
