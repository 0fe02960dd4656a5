"""Features of examples: one file or folder an encoder."""

from __future__ import annotations

from typing import Any

from stepwell.encoders.patches.encoder import PatchEncoder

ENCODERS: dict[str, Any] = {PatchEncoder.name: PatchEncoder}

__all__ = ["ENCODERS", "PatchEncoder"]
