"""Features of examples: one file or folder an encoder."""

from __future__ import annotations

from typing import Any

from stepwell.encoders.network.encoder import NetworkEncoder
from stepwell.encoders.patches.encoder import PatchEncoder
from stepwell.encoders.transformer.encoder import TransformerEncoder
from stepwell.encoders.transformer.pretrained import PretrainedEncoder
from stepwell.encoders.words.encoder import WordEncoder

ENCODERS: dict[str, Any] = {
    made.name: made
    for made in (PatchEncoder, WordEncoder, NetworkEncoder, TransformerEncoder, PretrainedEncoder)
}
NETWORKS = {made.name: made for made in (NetworkEncoder, TransformerEncoder, PretrainedEncoder)}
"""Those that can be trained."""

__all__ = [
    "ENCODERS",
    "NETWORKS",
    "NetworkEncoder",
    "PatchEncoder",
    "PretrainedEncoder",
    "TransformerEncoder",
    "WordEncoder",
]
