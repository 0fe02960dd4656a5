"""Features of examples: one file or folder an encoder."""

from __future__ import annotations

from stepwell.encoders.patches.encoder import PatchEncoder
from stepwell.interfaces import Encoder

ENCODERS: dict[str, type[Encoder]] = {PatchEncoder.name: PatchEncoder}

__all__ = ["ENCODERS", "PatchEncoder"]
