"""Engines find an encoder for a stream of pairs. ``spectral``: moments, then a closed form."""

from stepwell.engines.accumulate import Encoded, Known, accumulate, shuffle_units
from stepwell.engines.engine import SpectralEngine
from stepwell.engines.moments import DenseMoments, Law, units_of
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

__all__ = [
    "Choice",
    "DenseMoments",
    "Encoded",
    "KeptPairs",
    "Known",
    "Law",
    "Modes",
    "Quantiser",
    "SpectralEngine",
    "SpectralMap",
    "accumulate",
    "auto_law",
    "shuffle_units",
    "solve",
    "units_of",
    "whitening",
]
