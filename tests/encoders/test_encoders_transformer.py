"""Transformers over tokens: what they may see, what they remember, and what they never lose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepwell.encoders import TransformerEncoder
from stepwell.encoders.transformer.modules import Shape, Transformer
from stepwell.encoders.transformer.tokens import Tokens, filled
from stepwell.interfaces import UsageError
from stepwell.kit.texts import END, PAD, SPECIAL
from stepwell.sources import HeldTexts

TEXTS = [
    "a small dog runs over the grass",
    "two dogs run",
    "ein kleiner Hund läuft über das Gras",
    "犬が走る",
    "the grass is green, the dog is small 🐕",
] * 4


def batch_of(texts):
    return next(HeldTexts(texts).batches(len(texts)))


def module(**shape):
    torch.manual_seed(0)
    return Transformer(Shape(tokens=40, width=32, layers=2, heads=4, **shape)).eval()


def tokens(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).integers(SPECIAL, 40, shape))


@pytest.fixture(scope="module")
def pieces():
    return Tokens.trained(TEXTS, 400)


@given(st.text(max_size=60))
def test_no_text_is_lost(pieces, text):
    clean = text.encode("utf-8", "replace").decode()
    for made in (pieces, Tokens()):
        (row,) = made.encode([text])
        assert made.decode(row) == clean
        assert len(row) == 0 or SPECIAL <= row.min() <= row.max() < len(made)


def test_marks_in_a_text_are_text(pieces):
    (row,) = pieces.encode(["a <end> dog <pad>"])
    assert row.min() >= SPECIAL
    assert pieces.decode(row) == "a <end> dog <pad>"


def test_pieces_are_longer_than_bytes_and_come_back(pieces):
    again = Tokens(pieces.described)
    rows = pieces.encode(TEXTS)
    assert sum(map(len, rows)) < sum(map(len, Tokens().encode(TEXTS))) / 2
    assert all(map(np.array_equal, rows, again.encode(TEXTS)))


@pytest.mark.parametrize("causal", [True, False])
def test_what_fills_up_changes_nothing(causal):
    net, x = module(causal=causal), tokens(3, 7)
    longer = torch.nn.functional.pad(x, (0, 4), value=PAD)
    assert torch.allclose(net(longer), net(x), atol=1e-5)
    assert torch.allclose(net.everything(longer)[:, :8], net.everything(x), atol=1e-5)


def test_a_causal_one_does_not_look_ahead():
    x = tokens(3, 7)
    other = x.clone()
    other[:, 4:] = tokens(3, 3, seed=1)
    for causal in (True, False):
        net = module(causal=causal)
        same = torch.allclose(net.places(x)[:, :4], net.places(other)[:, :4], atol=1e-6)
        assert same == causal


def test_an_answer_sees_the_text_but_not_what_follows():
    net, x, answer = module(answers=2), tokens(3, 7), tokens(3, 5, seed=1)
    later, elsewhere = answer.clone(), x.clone()
    later[:, 3:] = tokens(3, 2, seed=2)
    elsewhere[:, 6] = tokens(3, seed=3)
    found = net.answering(x, answer)
    assert torch.allclose(found[:, :3], net.answering(x, later)[:, :3], atol=1e-6)
    assert not torch.allclose(found[:, :3], net.answering(elsewhere, answer)[:, :3], atol=1e-3)


def test_one_token_more_costs_one_token_and_says_the_same():
    net, x, answer = module(answers=2), tokens(3, 7), tokens(3, 5, seed=1)
    x[0, 4:] = PAD
    whole = net.scores(net.answering(x, answer))
    memory, mask = net.listen(x)
    for place in range(5):
        found = net.one_more(answer[:, place : place + 1], memory, mask)
        assert torch.allclose(found, whole[:, place], atol=1e-4)
    alone = module(causal=True)
    memory = alone.listening()
    whole = alone.scores(alone.places(answer))
    first = alone.one_more(answer[:, :3], memory)  # a prompt at once
    assert torch.allclose(first, whole[:, 2], atol=1e-4)
    assert torch.allclose(alone.one_more(answer[:, 3:4], memory), whole[:, 3], atol=1e-4)


@pytest.mark.parametrize("style", ["places", "next", "answers"])
def test_an_encoder_of_each_style(style):
    encoder = TransformerEncoder("fast", style, "cpu").fit(batch_of(TEXTS))
    found = encoder.embed(batch_of(TEXTS))
    assert found.shape == (len(TEXTS), encoder.width)
    assert np.allclose(found[:5], encoder.embed(batch_of(TEXTS[:5])), atol=1e-5)
    again = TransformerEncoder.from_state(*encoder.state())
    assert np.allclose(found, again.embed(batch_of(TEXTS)), atol=1e-6)
    assert not np.allclose(found, encoder.randomised(7).embed(batch_of(TEXTS)), atol=1e-2)
    assert encoder.fit(batch_of(["other"] * 9)) is encoder
    assert np.allclose(found, encoder.embed(batch_of(TEXTS)))


def test_texts_longer_than_a_row_are_the_mean_of_their_rows():
    encoder = TransformerEncoder("fast", "places", "cpu").fit(batch_of(TEXTS))
    long = " ".join(TEXTS * 5)
    (row,) = encoder.tokens.encode([long])
    assert len(row) > 2 * encoder.places()
    rows = next(encoder.laid_out([batch_of([long, "", "dog"])]))
    assert rows.ids.tolist().count("row=0") == -(-len(row) // encoder.places())
    assert np.array_equal(rows.data["tokens"][0], row[: encoder.places()])
    assert len(np.unique(rows.digest, axis=0)) > 3  # rows of one text are drawn each for itself
    assert np.isfinite(encoder.embed(batch_of([long, "", "dog"]))).all()


def test_texts_that_go_on_are_one_stream():
    encoder = TransformerEncoder("fast", "next", "cpu").fit(batch_of(TEXTS))
    (batch,) = encoder.laid_out([batch_of(TEXTS)])
    rows = batch.data["tokens"]
    stream = np.concatenate([rows[0], *(row[1:] for row in rows[1:])])
    stream = stream[stream != PAD]
    expected = [END] + [t for text in encoder.tokens.encode(TEXTS) for t in [*text, END]]
    assert stream.tolist() == expected
    assert len(batch.ids) == len(rows)


def test_rows_are_filled_with_nothing():
    rows = [np.array([5, 6], np.uint16), np.array([], np.uint16)]
    assert filled(rows).tolist() == [[5, 6], [PAD, PAD]]
    assert filled(rows, 1).tolist() == [[5], [PAD]]


def test_an_unknown_style_is_refused():
    with pytest.raises(UsageError, match="style of places, next, answers, found 'back'"):
        TransformerEncoder(style="back")
