"""Answers of a transformer to texts: the likeliest that a beam finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.kit.texts import BEGIN, END, PAD, SPECIAL
from stepwell.kit.torch import torch_or_error

BEAM = 5
LENGTH = 1.0
"""Power of its length that an answer's score is divided by."""


def answers(
    module: Any,
    tokens: Any,
    *,
    beam: int = BEAM,
    length: float = LENGTH,
    longest: int = 128,
) -> list[list[int]]:
    """The likeliest answers to texts.

    Parameters
    ----------
    module : Transformer
        With ``listen`` and ``one_more``.
    tokens : (n, t) tensor of int
        Texts with their ends.
    beam : int
        Beginnings that are followed up at a time; 1: always the likeliest token.
    length : float
        0 prefers short answers, 1 judges them by the mean of their tokens (Wu et al., 2016).
    longest : int
        Tokens of an answer, at most.

    Returns
    -------
    list of list of int
        Without their ends.
    """
    torch = torch_or_error()
    n, device = len(tokens), tokens.device
    memory, mask = module.listen(tokens)
    # Row i * beam + b holds beginning b of text i. At first all are the same: only one counts.
    memory.repeat(beam)
    mask = mask.repeat_interleave(beam, 0)
    score = torch.full((n, beam), -np.inf, device=device)
    score[:, 0] = 0
    written = torch.full((n * beam, 1), BEGIN, dtype=torch.long, device=device)
    best: list[tuple[float, list[int] | None]] = [(-np.inf, None)] * n
    for step in range(1, longest + 1):
        found = module.one_more(written[:, -1:], memory, mask).float().log_softmax(-1)
        found[:, :END] = -np.inf
        found[:, END + 1 : SPECIAL] = -np.inf
        every = (score[:, :, None] + found.view(n, beam, -1)).flatten(1)
        top, place = every.topk(2 * beam, 1)  # half of them may be ends
        origin, token = place // found.shape[1], place % found.shape[1]
        score = _finished(top, origin, token, written, step, length, best)
        kept = score.argsort(1, descending=True)[:, :beam]
        score = score.gather(1, kept)
        source = (torch.arange(n, device=device)[:, None] * beam + origin.gather(1, kept)).flatten()
        memory.take(source)
        written = torch.cat([written[source], token.gather(1, kept).view(-1, 1)], 1)
        if step == longest or _settled(score, best, longest, length):
            break
    return [
        _cut(written, row, beam) if found is None else found for row, (_, found) in enumerate(best)
    ]


def _finished(
    top: Any, origin: Any, token: Any, written: Any, step: int, length: float, best: list[Any]
) -> Any:
    """Scores of what goes on; answers that end here are kept where they are the best so far."""
    beam = top.shape[1] // 2
    ended = token == END
    for row, place in ended.nonzero().tolist():
        if place >= beam:  # not among the best beginnings
            continue
        judged = float(top[row, place]) / step**length
        if judged > best[row][0]:
            own = written[row * beam + int(origin[row, place]), 1:].tolist()
            best[row] = judged, own
    return top.masked_fill(ended, -np.inf)


def _settled(score: Any, best: Sequence[Any], longest: int, length: float) -> bool:
    """Whether no beginning can become better than what has ended; scores only fall."""
    hope = (score[:, 0] / longest**length).tolist()
    return all(found >= can for (found, _), can in zip(best, hope, strict=True))


def _cut(written: Any, row: int, beam: int) -> list[int]:
    """Of an answer that came to no end, what there is of it."""
    return [t for t in written[row * beam, 1:].tolist() if t not in (PAD, END)]
