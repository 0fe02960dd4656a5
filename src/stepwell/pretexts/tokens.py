"""Pretexts on texts for networks: tokens that are missing, out of order, or come next; and the
same said in another language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Pairs, Seen, UsageError
from stepwell.kit.hashing import keys, uniform
from stepwell.kit.texts import BEGIN, END, MISSING, PAD, column_of
from stepwell.pretexts.base import refuse_pairs

_MASKED, _MOVED = 0x7E88, 0x7E89
"""What distinguishes draws from others."""
KEPT = 0.2
"""Share of the tokens that are to be told which are not hidden; half of them are replaced (Devlin
et al., NAACL 2019), by others of the text, so that company changes nothing."""
REACH = 3.0
"""Spans that a span moves by, at most: neighbours change places with probability 2 / 9."""

Tokens = NDArray[np.integer[Any]]


class OnTokens:
    """A pretext on (n, t) ``tokens``, which the encoder has made of texts."""

    name: ClassVar[str]
    kinds: ClassVar[frozenset[str]] = frozenset({"text"})
    target: ClassVar[Literal["same", "other"]] = "other"
    gives: ClassVar[frozenset[str]]
    objective: ClassVar[str]
    style: ClassVar[str]
    """What the transformer has to be."""
    engine: ClassVar[str] = "gradient"
    """What learns, where nothing else was asked for."""

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """None: it asks a network."""
        raise refuse_pairs(self.name)


class MissingTokens(OnTokens):
    """Some tokens are hidden: which were they?

    J. Devlin et al., NAACL 2019, section 3.1.

    Parameters
    ----------
    share : float
        Of tokens that have to be told.
    """

    name: ClassVar[str] = "missing"
    gives: ClassVar[frozenset[str]] = frozenset({"masked"})
    objective: ClassVar[str] = "masked_token"
    style: ClassVar[str] = "places"

    def __init__(self, share: float = 0.15) -> None:
        if not 0 < share < 1:
            raise UsageError(f"Expected a share of tokens between 0 and 1, found {share}.")
        self.share = share

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {"share": self.share}

    def seen(self, batch: Batch, seed: int, epoch: int, views: int) -> Seen:
        """One view, without what is to be told; of a short text at least one token."""
        tokens = trimmed(batch.data["tokens"])
        n, t = tokens.shape
        drawn = uniform(keys(batch.digest, seed, epoch, _MASKED), 3 * t).reshape(n, t, 3)
        rank = np.where(tokens == PAD, 2.0, drawn[:, :, 0])
        masked = (rank < self.share) | (rank == rank.min(1, keepdims=True))
        masked &= tokens != PAD
        how, there = drawn[:, :, 1], (tokens != PAD).sum(1, keepdims=True)
        shown = np.where(masked & (how >= KEPT), MISSING, tokens)
        other = np.take_along_axis(tokens, (drawn[:, :, 2] * there).astype(np.intp), 1)
        shown = np.where(masked & (how < KEPT / 2), other, shown)
        return Seen([shown], {"tokens": tokens, "masked": masked.astype(np.int64)})


class Next(OnTokens):
    """Which token comes next?"""

    name: ClassVar[str] = "next"
    gives: ClassVar[frozenset[str]] = frozenset({"next"})
    objective: ClassVar[str] = "next_token"
    style: ClassVar[str] = "next"

    def seen(self, batch: Batch, seed: int, epoch: int, views: int) -> Seen:
        """The tokens; the network must not look ahead."""
        tokens = trimmed(batch.data["tokens"])
        return Seen([tokens], {"tokens": tokens, "real": (tokens != PAD).astype(np.int64)})


class OrderTokens(OnTokens):
    """Spans of a text have changed places and tokens are missing: write the text.

    M. Lewis et al., ACL 2020 (BART).

    Parameters
    ----------
    missing : float
        Share of tokens that are hidden.
    span : float
        Tokens that stay together, on average.
    """

    name: ClassVar[str] = "order"
    gives: ClassVar[frozenset[str]] = frozenset({"answers"})
    objective: ClassVar[str] = "seq2seq"
    style: ClassVar[str] = "answers"

    def __init__(self, missing: float = 0.3, span: float = 4.0) -> None:
        if not 0 <= missing < 1 or span < 1:
            raise UsageError(
                f"Expected a share of missing tokens below 1 and spans of 1 token or more, found "
                f"{missing} and {span}."
            )
        self.missing, self.span = missing, span

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {"missing": self.missing, "span": self.span}

    def seen(self, batch: Batch, seed: int, epoch: int, views: int) -> Seen:
        """A text out of order, and the text."""
        tokens = trimmed(batch.data["tokens"])
        n, t = tokens.shape
        drawn = uniform(keys(batch.digest, seed, epoch, _MOVED), 3 * t).reshape(n, t, 3)
        begins = drawn[:, :, 0] < 1 / self.span
        begins[:, 0] = True
        number = np.cumsum(begins, 1) - 1  # of the span that each token is in
        moved = np.take_along_axis(np.arange(t) + REACH * drawn[:, :, 1], number, 1)
        moved = np.where(tokens == PAD, np.inf, moved)
        shown = np.where((drawn[:, :, 2] < self.missing) & (tokens != PAD), MISSING, tokens)
        shown = np.take_along_axis(shown, np.argsort(moved, 1, kind="stable"), 1)
        return answered(ended(shown), tokens)


class Parallel(OnTokens):
    """A text and what it says in another language."""

    name: ClassVar[str] = "parallel"
    target: ClassVar[Literal["same", "other"]] = "same"
    gives: ClassVar[frozenset[str]] = frozenset({"answers"})
    objective: ClassVar[str] = "seq2seq"
    style: ClassVar[str] = "answers"
    partners: ClassVar[float] = 2.0

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """One unit an example: both texts."""
        sides = zip(batch.data["text"], batch.data["target"], strict=True)
        texts = [str(text) for both in sides for text in both]
        rows = np.repeat(np.arange(len(batch)), 2)
        yield Pairs(batch.take(rows).with_data(text=column_of(texts)), rows)

    def seen(self, batch: Batch, seed: int, epoch: int, views: int) -> Seen:
        """A text, and its translation."""
        target = trimmed(batch.data["target"])
        return answered(ended(trimmed(batch.data["tokens"])), target)


def answered(question: Tokens, answer: Tokens) -> Seen:
    """What a network is asked, and what it is to write, from the beginning to the end."""
    framed = np.pad(ended(answer), ((0, 0), (1, 0)), constant_values=BEGIN)
    return Seen([question, framed], {"tokens": framed})


def ended(tokens: Tokens) -> Tokens:
    """(n, t + 1), with an end after each row's last token."""
    found = np.pad(tokens, ((0, 0), (0, 1)), constant_values=PAD)
    found[np.arange(len(found)), (tokens != PAD).sum(1)] = END
    return found


def trimmed(tokens: Tokens) -> Tokens:
    """Columns up to the longest row; int64."""
    longest = max(1, int((tokens != PAD).sum(1).max(initial=1)))
    return np.asarray(tokens[:, :longest], np.int64)
