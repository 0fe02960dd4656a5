"""What objectives on hidden patches share: where they are, seen by a backbone's places."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def at_places(hidden: Tensor, places: int) -> Tensor:
    """(n, g, g) hidden patches → (n, t) places that are mostly hidden, as 0 and 1.

    Of examples in which none is, the one that is hidden most.
    """
    side = round(places**0.5)
    if side * side != places:
        raise ValueError(f"expected a square of places, found {places}")
    share = nn.functional.adaptive_avg_pool2d(hidden[:, None].float(), side).flatten(1)
    most = share == share.max(1, keepdim=True).values
    found = (share > 0.5) | (most & (share.max(1, keepdim=True).values <= 0.5))
    return found.to(share.dtype)


def at_pixels(hidden: Tensor, height: int, width: int) -> Tensor:
    """(n, g, g) hidden patches → (n, 1, height, width) pixels, as 0 and 1."""
    return nn.functional.interpolate(hidden[:, None].float(), (height, width), mode="nearest")


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over examples of the mean of values where the mask is 1; both (n, t)."""
    return ((values * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()


def layer_normed(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the last axis."""
    return torch.nn.functional.layer_norm(x, x.shape[-1:])
