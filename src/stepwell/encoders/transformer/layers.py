"""What a transformer is built of: attention that knows places by rotation, and its blocks.

A. Vaswani et al., NeurIPS 2017; normalised before each part (R. Xiong et al., ICML 2020); places
by rotation (J. Su et al., 2021, arXiv 2104.09864).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

BASE = 10_000.0
"""Of the wavelengths that places are told by."""


class Rotation(nn.Module):
    """Turns pairs of a head's numbers by an angle that grows with the place.

    Parameters
    ----------
    size : int
        Numbers of a head; even.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        speeds = BASE ** (-torch.arange(0, size, 2).float() / size)
        self.register_buffer("speeds", speeds, persistent=False)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """(n, heads, t, size), of places ``first`` and on."""
        places = torch.arange(first, first + x.shape[-2], device=x.device)
        angles = places[:, None] * self.speeds
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        left, right = x.chunk(2, -1)
        return torch.cat([left * cos - right * sin, left * sin + right * cos], -1)


@dataclass
class Memory:
    """What was attended to before, so that one more place costs one place.

    Attributes
    ----------
    own, other : dict of int to (keys, values)
        Of each layer: of the places so far, and of what is answered.
    length : int
        Places so far.
    """

    own: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    other: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    length: int = 0

    def repeat(self, times: int) -> None:
        """Each row so many times, before anything is written."""
        for layer, (keys, values) in self.other.items():
            self.other[layer] = keys.repeat_interleave(times, 0), values.repeat_interleave(times, 0)

    def take(self, rows: Tensor) -> None:
        """Go on with what was written in these rows, each for a row that answers the same."""
        for layer, (keys, values) in self.own.items():
            self.own[layer] = keys[rows], values[rows]


class Attention(nn.Module):
    """Of all places to all, or only to earlier ones; or to those of another text.

    Parameters
    ----------
    width, heads : int
    crossed : bool
        Whether what is attended to is another text.
    """

    def __init__(self, width: int, heads: int, crossed: bool = False) -> None:
        super().__init__()
        self.heads, self.crossed = heads, crossed
        self.query = nn.Linear(width, width, bias=False)
        self.both = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.turned = Rotation(width // heads)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def known(self, x: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """Keys and values (n, heads, t, size) of what is attended to."""
        keys, values = (self._split(part) for part in self.both(x).chunk(2, -1))
        return (keys if self.crossed else self.turned(keys, first)), values

    def forward(
        self,
        x: Tensor,
        known: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        causal: bool = False,
        first: int = 0,
    ) -> Tensor:
        """(n, t, width); ``mask`` (n, 1, 1, s) is true at places that are there."""
        asked = self._split(self.query(x))
        asked = asked if self.crossed else self.turned(asked, first)
        found = scaled_dot_product_attention(asked, *known, attn_mask=mask, is_causal=causal)
        out: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention and two layers, each added to what came in.

    Parameters
    ----------
    width, heads : int
    dropped : float
        Share of what is added that is left out in training.
    answers : bool
        Whether it attends to another text too.
    """

    def __init__(self, width: int, heads: int, dropped: float, answers: bool = False) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.beside = nn.LayerNorm(width) if answers else None
        self.crossed = Attention(width, heads, crossed=True) if answers else None
        self.between = nn.LayerNorm(width)
        self.deep = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropped = nn.Dropout(dropped)

    def forward(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """(n, t, width) of one text by itself."""
        return self._deep(self._among(x, mask, causal))

    def answer(self, x: Tensor, other: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """The same of an answer to another text, of which keys and values are known."""
        return self._deep(self._beside(self._among(x, None, True), other, mask))

    def _among(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        normed = self.before(x)
        known = self.attention.known(normed)
        return x + self.dropped(self.attention(normed, known, mask, causal))

    def one_more(self, x: Tensor, layer: int, memory: Memory, mask: Tensor | None = None) -> Tensor:
        """The next places alone, (n, t, width), of what memory holds the places before."""
        normed = self.before(x)
        known = self.attention.known(normed, memory.length)
        if layer in memory.own:
            sides = zip(memory.own[layer], known, strict=True)
            known = tuple(torch.cat([old, new], 2) for old, new in sides)
        memory.own[layer] = known
        # One place may see all before it; of several at once each its own.
        several = x.shape[1] > 1
        x = x + self.attention(normed, known, None, several, memory.length)
        if self.crossed is not None:
            x = self._beside(x, memory.other[layer], mask)
        return self._deep(x)

    def _beside(self, x: Tensor, other: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        assert self.beside is not None
        assert self.crossed is not None
        return x + self.dropped(self.crossed(self.beside(x), other, mask))

    def _deep(self, x: Tensor) -> Tensor:
        return x + self.dropped(self.deep(self.between(x)))
