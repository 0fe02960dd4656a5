"""Features of examples: one file or folder an encoder."""

from __future__ import annotations

from typing import Any

from stepwell.encoders.network.encoder import NetworkEncoder
from stepwell.encoders.patches.encoder import PatchEncoder
from stepwell.encoders.words.encoder import WordEncoder

ENCODERS: dict[str, Any] = {made.name: made for made in (PatchEncoder, WordEncoder, NetworkEncoder)}

__all__ = ["ENCODERS", "NetworkEncoder", "PatchEncoder", "WordEncoder"]
