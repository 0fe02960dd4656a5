"""Features of examples: one file or folder an encoder."""

from __future__ import annotations

from typing import Any

from stepwell.encoders.network.encoder import NetworkEncoder
from stepwell.encoders.patches.encoder import PatchEncoder

ENCODERS: dict[str, Any] = {PatchEncoder.name: PatchEncoder, NetworkEncoder.name: NetworkEncoder}

__all__ = ["ENCODERS", "NetworkEncoder", "PatchEncoder"]
