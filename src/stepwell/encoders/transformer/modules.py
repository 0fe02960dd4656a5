"""Transformers over tokens: of one text, and of one that answers another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwell.encoders.transformer.layers import Block, Memory
from stepwell.kit.texts import PAD


@dataclass(frozen=True)
class Shape:
    """Of a transformer.

    Attributes
    ----------
    tokens : int
        Size of the vocabulary.
    width, layers, heads : int
    dropped : float
        Share of activations left out in training.
    causal : bool
        Whether a place sees only those before it.
    answers : int
        Layers that write an answer; 0 where there is none.
    """

    tokens: int
    width: int = 256
    layers: int = 3
    heads: int = 4
    dropped: float = 0.1
    causal: bool = False
    answers: int = 0


class Transformer(nn.Module):
    """(n, t) tokens → features of the whole, and of each place.

    Parameters
    ----------
    shape : Shape
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.embedding = nn.Embedding(shape.tokens, width)
        self.dropped = nn.Dropout(shape.dropped)
        common = (width, shape.heads, shape.dropped)
        self.blocks = nn.ModuleList(Block(*common) for _ in range(shape.layers))
        self.end = nn.LayerNorm(width)
        self.writing = nn.ModuleList(Block(*common, answers=True) for _ in range(shape.answers))
        self.written = nn.LayerNorm(width) if shape.answers else nn.Identity()
        self._begin()

    def _begin(self) -> None:
        """Weights as they are before training; those that add to the sum are smaller, the more
        of them there are."""
        depth = 2 * self.shape.layers + 3 * self.shape.answers
        for name, weight in self.named_parameters():
            if weight.ndim > 1:
                last = name.endswith(("out.weight", "deep.2.weight"))
                nn.init.normal_(weight, std=self.shape.width**-0.5 / (depth**0.5 if last else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        with torch.no_grad():
            self.embedding.weight[PAD] = 0

    def _embedded(self, tokens: Tensor) -> Tensor:
        """Of length about 1 a number: the same table, transposed, scores tokens."""
        found: Tensor = self.dropped(self.embedding(tokens) * self.shape.width**0.5)
        return found

    def places(self, tokens: Tensor) -> Tensor:
        """(n, t, width) features of each place."""
        x, causal = self._embedded(tokens), self.shape.causal
        mask = None if causal else _there(tokens)  # what follows the end is never seen anyway
        for block in self.blocks:
            x = block(x, mask, causal)
        found: Tensor = self.end(x)
        return found

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, width): the mean over the places of a text."""
        return _mean(self.places(tokens), tokens)

    def everything(self, tokens: Tensor) -> Tensor:
        """(n, 1 + t, width): of the whole, then of each place."""
        places = self.places(tokens)
        return torch.cat([_mean(places, tokens)[:, None], places], 1)

    def answering(self, tokens: Tensor, answer: Tensor) -> Tensor:
        """(n, s, width) features of each place of an answer (n, s): what tells the next one."""
        known, mask = self.places(tokens), _there(tokens)
        x = self._embedded(answer)
        for block in self.writing:
            x = block.answer(x, block.crossed.known(known), mask)
        found: Tensor = self.written(x)
        return found

    def listen(self, tokens: Tensor) -> tuple[Memory, Tensor]:
        """What answers to (n, t) tokens are written from."""
        known = self.places(tokens)
        other = {i: block.crossed.known(known) for i, block in enumerate(self.writing)}
        return Memory(other=other), _there(tokens)

    def listening(self) -> Memory:
        """A memory of nothing yet."""
        return Memory()

    def one_more(self, tokens: Tensor, memory: Memory, mask: Tensor | None = None) -> Tensor:
        """(n, vocabulary) scores of what follows (n, t) tokens and all that memory holds; which
        then holds these too."""
        x = self._embedded(tokens)
        for layer, block in enumerate(self.writing or self.blocks):
            x = block.one_more(x, layer, memory, mask)
        memory.length += tokens.shape[1]
        end = self.written if self.shape.answers else self.end
        return self.scores(end(x[:, -1]))

    def scores(self, x: Tensor) -> Tensor:
        """Of every token of the vocabulary, from features of a place."""
        return nn.functional.linear(x, self.embedding.weight)


def _there(tokens: Tensor) -> Tensor:
    """(n, 1, 1, t), false at places that only fill up; a text of none has its first."""
    there = tokens != PAD
    there[:, 0] = True
    return there[:, None, None]


def _mean(places: Tensor, tokens: Tensor) -> Tensor:
    there = _there(tokens)[:, 0, 0, :, None].to(places.dtype)
    return (places * there).sum(1) / there.sum(1)
