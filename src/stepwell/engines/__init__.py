"""Engines find an encoder for a stream of pairs. ``spectral``: moments, then a closed form."""

from stepwell.engines.accumulate import Encoded, accumulate, shuffle_units
from stepwell.engines.moments import DenseMoments, Law
from stepwell.engines.quantise import Quantiser
from stepwell.engines.shuffled import ShuffledPairs
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
    "Law",
    "Modes",
    "Quantiser",
    "ShuffledPairs",
    "SpectralMap",
    "accumulate",
    "auto_law",
    "shuffle_units",
    "solve",
    "whitening",
]
