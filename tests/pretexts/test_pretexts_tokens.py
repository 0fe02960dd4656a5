"""Pretexts on tokens: what is shown, and what is to be told."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.interfaces import UsageError
from stepwell.kit.texts import BEGIN, END, MISSING, PAD, SPECIAL, column_of
from stepwell.pretexts.texts import TextNeighbours, TextViews
from stepwell.pretexts.tokens import MissingTokens, Next, OrderTokens, Parallel, ended, trimmed
from stepwell.sources import HeldTexts

N, T = 300, 24


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    tokens = rng.integers(SPECIAL, 1000, (N, T)).astype(np.uint16)
    for row, length in enumerate(rng.integers(1, T + 1, N)):
        tokens[row, length:] = PAD
    made = next(HeldTexts([f"text {i}" for i in range(N)]).batches(N))
    return made.with_data(tokens=tokens, target=tokens[::-1].copy())


def test_hidden_tokens_are_those_that_are_told(batch):
    seen = MissingTokens(0.2).seen(batch, 0, 0, 1)
    shown, told, masked = seen.views[0], seen.told["tokens"], seen.told["masked"].astype(bool)
    assert np.array_equal(told, batch.data["tokens"])
    assert np.array_equal(shown[~masked], told[~masked])
    assert (masked.sum(1) >= 1).all()
    assert not masked[told == PAD].any()
    assert masked.sum() / (told != PAD).sum() == pytest.approx(0.22, abs=0.04)
    hidden = shown[masked] == MISSING
    assert hidden.mean() == pytest.approx(0.8, abs=0.05)
    others = shown[masked][~hidden] != told[masked][~hidden]
    assert 0.3 < others.mean() < 0.6  # of a short text it may be the token itself
    again = MissingTokens(0.2).seen(batch.take(slice(5, 9)), 0, 0, 1)
    width = again.views[0].shape[1]
    assert np.array_equal(again.told["masked"], masked[5:9, :width])  # in any company
    assert np.array_equal(again.views[0], shown[5:9, :width])
    assert not np.array_equal(MissingTokens(0.2).seen(batch, 0, 1, 1).views[0], shown)


def test_next_tells_all_that_is_there(batch):
    seen = Next().seen(batch, 0, 0, 1)
    assert np.array_equal(seen.views[0], batch.data["tokens"])
    assert np.array_equal(seen.told["real"], batch.data["tokens"] != PAD)


def test_order_keeps_tokens_near_and_asks_for_the_text(batch):
    seen = OrderTokens(missing=0.0).seen(batch, 0, 0, 1)
    shown, answer = seen.views
    tokens = batch.data["tokens"].astype(int)
    for row in range(N):
        own = tokens[row][tokens[row] != PAD]
        asked = shown[row][shown[row] != PAD]
        assert asked[-1] == END
        assert sorted(asked[:-1]) == sorted(own)
        assert answer[row][answer[row] != PAD].tolist() == [BEGIN, *own, END]
    moved = (shown[:, :T] != tokens)[tokens != PAD].mean()
    assert 0.15 < moved < 0.95
    assert np.array_equal(seen.told["tokens"], answer)
    some = OrderTokens(missing=0.3).seen(batch, 0, 0, 1).views[0]
    assert (some == MISSING).sum() / (tokens != PAD).sum() == pytest.approx(0.3, abs=0.03)


def test_parallel_asks_for_the_translation_and_pairs_both(batch):
    question, answer = Parallel().seen(batch, 0, 0, 1).views
    assert np.array_equal(question, ended(batch.data["tokens"].astype(int)))
    assert np.array_equal(answer[answer >= SPECIAL], _real(batch.data["target"]))
    texts = batch.with_data(text=column_of(["a b"] * N), target=column_of(["c"] * N))
    (pairs,) = Parallel().pairs(texts, 0)
    assert pairs.x.data["text"].tolist() == ["a b", "c"] * N
    assert pairs.unit.tolist() == np.repeat(np.arange(N), 2).tolist()


def _real(tokens):
    return tokens[tokens != PAD]


@pytest.mark.parametrize("pretext", [TextViews(), TextNeighbours()])
def test_parts_of_tokens_are_all_of_them_once(pretext, batch):
    first, second = pretext.seen(batch, 0, 0, 2).views
    assert first.shape == second.shape
    for row, own in enumerate(batch.data["tokens"]):
        own = _real(own)
        parts = [_real(side[row]) for side in (first, second)]
        if len(own) == 1:
            assert [each.tolist() for each in parts] == [own.tolist()] * 2
            continue
        assert len(parts[0]) == len(own) // 2
        assert sorted(np.concatenate(parts)) == sorted(own)
        if isinstance(pretext, TextNeighbours):
            assert np.array_equal(np.concatenate(parts), own)


def test_what_only_a_network_can_be_asked(batch):
    for pretext in (MissingTokens(), Next(), OrderTokens()):
        with pytest.raises(UsageError, match="Add --engine gradient"):
            pretext.pairs(batch, 0)


@pytest.mark.parametrize("made", [lambda: MissingTokens(1.5), lambda: OrderTokens(span=0.5)])
def test_settings_that_make_no_sense(made):
    with pytest.raises(UsageError, match="Expected a share"):
        made()


def test_ends_and_trims():
    rows = np.array([[5, 6, PAD, PAD], [7, PAD, PAD, PAD]])
    assert trimmed(rows).tolist() == [[5, 6], [7, PAD]]
    assert ended(trimmed(rows)).tolist() == [[5, 6, END], [7, END, PAD]]
