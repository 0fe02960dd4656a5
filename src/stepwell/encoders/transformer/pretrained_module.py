"""The network of a text model of others, as ours are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stepwell.kit.texts import PAD, SPECIAL


class Pretrained(nn.Module):
    """(n, t) tokens → (n, width) features.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    pad : int
        Its token for nothing.
    before, after : sequence of int
        Its tokens around each text.
    pooling : {"mean", "cls", "max", "lasttoken"}
        How the features of places become those of a text.
    normed : bool
        Whether they are made of length 1.
    """

    def __init__(
        self,
        model: Any,
        pad: int,
        before: Sequence[int],
        after: Sequence[int],
        pooling: str,
        normed: bool,
    ) -> None:
        super().__init__()
        self.model = model.get_encoder() if model.config.is_encoder_decoder else model
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # nothing asks for it: no gradient would reach it
        self.pad, self.before, self.after = pad, before, after
        self.pooling, self.normed = pooling, normed

    def forward(self, tokens: Tensor) -> Tensor:
        """Of the whole of each text."""
        found = self._pooled(*self.framed(tokens))
        return nn.functional.normalize(found, dim=-1) if self.normed else found

    def _pooled(self, ids: Tensor, there: Tensor) -> Tensor:
        places = self.model(input_ids=ids, attention_mask=there.long()).last_hidden_state
        last = there.sum(1) - 1
        if self.pooling == "cls":
            return places[:, 0]
        if self.pooling == "lasttoken":
            return places[torch.arange(len(places), device=places.device), last]
        seen = there[..., None]
        if self.pooling == "max":
            return places.masked_fill(~seen, -torch.inf).amax(1)
        return (places * seen).sum(1) / seen.sum(1)

    def framed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens as the model counts them, with those around each text; and where there are
        any."""
        n, count = tokens.shape
        ends = (tokens != PAD).sum(1) + len(self.before)
        width = count + len(self.before) + len(self.after)
        ids = tokens.new_full((n, width), self.pad)
        ids[:, : len(self.before)] = tokens.new_tensor(self.before)
        own = torch.where(tokens == PAD, self.pad, (tokens - SPECIAL).clamp(min=0))
        ids[:, len(self.before) : len(self.before) + count] = own
        for place, token in enumerate(self.after):
            ids[torch.arange(n, device=ids.device), ends + place] = token
        ends = (ends + len(self.after)).clamp(min=1)  # of no text at all a place that fills up
        return ids, torch.arange(width, device=ids.device) < ends[:, None]
