"""Tokens of a text: pieces of words that are found by counting, or bytes; none is unknown.

R. Sennrich, B. Haddow & A. Birch, ACL 2016, over bytes (A. Radford et al., 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError
from stepwell.kit.texts import PAD, SPECIAL

NAMES = ("<pad>", "<begin>", "<end>", "<missing>")
"""Of the tokens that mean no text, in their order."""
BYTES = 256


class Tokens:
    """A vocabulary, fitted once.

    Parameters
    ----------
    described : str
        What the library tokenizers writes down; empty for bytes.
    """

    def __init__(self, described: str = "") -> None:
        self.described = described
        self._pieces: Any = None
        if described:
            self._pieces = tokenizers_or_error().Tokenizer.from_str(described)
            self._pieces.encode_special_tokens = True  # "<end>" in a text is text

    @classmethod
    def trained(cls, texts: Iterable[str], size: int) -> Self:
        """Pieces that come together most often, ``size`` in all."""
        library = tokenizers_or_error()
        made = library.Tokenizer(library.models.BPE())
        made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(NAMES),
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        made.train_from_iterator(texts, trainer)
        return cls(made.to_str())

    def __len__(self) -> int:
        return int(self._pieces.get_vocab_size()) if self._pieces else SPECIAL + BYTES

    def check_below(self, most: int) -> None:
        """Raise ValueError for a token that a table of so many has no row of."""
        highest = SPECIAL + BYTES - 1
        if self._pieces is not None:
            highest = max(self._pieces.get_vocab(with_added_tokens=True).values(), default=0)
        if highest >= most:
            raise ValueError(f"a token {highest} in a table of {most}")

    def encode(self, texts: Sequence[str]) -> list[NDArray[Any]]:
        """(t,) tokens of each text, uint16 where that is wide enough, else uint32."""
        if self._pieces is None:
            return [
                np.frombuffer(_bytes(text), np.uint8).astype(np.uint16) + SPECIAL for text in texts
            ]
        clean = [_bytes(text).decode() for text in texts]
        found = self._pieces.encode_batch(clean, add_special_tokens=False)
        kind = np.uint16 if len(self) < 2**16 else np.uint32
        return [np.array(each.ids, kind) for each in found]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; those that mean none are left out."""
        kept = [int(token) for token in tokens if token >= SPECIAL]
        if self._pieces is None:
            return bytes(token - SPECIAL for token in kept).decode("utf-8", "replace")
        return str(self._pieces.decode(kept))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def cut(texts: Sequence[NDArray[Any]], longest: int) -> tuple[list[NDArray[Any]], NDArray[np.intp]]:
    """Pieces of at most so many tokens, and whose they are; of a text without tokens an empty
    one."""
    pieces, owner = [], []
    for row, text in enumerate(texts):
        for start in range(0, max(len(text), 1), longest):
            pieces.append(text[start : start + longest])
            owner.append(row)
    return pieces, np.array(owner, np.intp)


def filled(rows: Sequence[NDArray[Any]], width: int | None = None) -> NDArray[Any]:
    """(n, width) with nothing after the end of each row; as wide as the longest, by default."""
    width = max([1, *map(len, rows)]) if width is None else width
    found = np.full((len(rows), width), PAD, rows[0].dtype if len(rows) else np.uint16)
    for own, row in zip(found, rows, strict=True):
        own[: len(row)] = row[:width]
    return found


def tokenizers_or_error() -> Any:
    """The library.

    Raises
    ------
    StepwellError
        If it is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise StepwellError(
            "Expected the library tokenizers for pieces of words, found none: "
            "pip install 'stepwell[text]'."
        ) from None
    return tokenizers
