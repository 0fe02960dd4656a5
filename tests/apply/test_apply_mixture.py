"""Counts and a transformer together: the same bytes by every way of asking."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stepwell.apply.mixture import Mixture, best_weight, mixed
from stepwell.encoders import TransformerEncoder
from stepwell.engines import NgramCounts, NgramModel
from stepwell.kit.texts import END, SPECIAL
from stepwell.sources import HeldTexts

TEXTS = ["to be, or not to be: that is the question " * 9, "ein Käse", "x"]


@pytest.fixture(scope="module")
def models():
    counts = NgramCounts()
    counts.add(TEXTS)
    batch = next(HeldTexts(TEXTS * 3).batches(9))
    return NgramModel(counts), TransformerEncoder("fast", "next", "cpu").fit(batch)


def walked(model, text, order):
    """Nats of each byte of a text and its end, asked for one after the other."""
    context, found = bytes(order - 1), []
    for byte in [*text.encode(), 0]:
        found.append(-np.log(model.following(context)[byte]))
        context = (context + bytes([byte]))[1 - order :]
    return np.array(found)


@pytest.mark.parametrize("text", TEXTS)
def test_a_transformer_says_the_same_byte_by_byte(models, text):
    counts, encoder = models
    alone = walked(Mixture(counts, encoder.module, encoder.places(), 0.0), text, encoder.places())
    (at_once,) = encoder.surprises([text])
    assert len(at_once) == len(text.encode()) + 1
    few = encoder.places() // 2  # what comes later is told from other parts of what went before
    # Tokens that stand for nothing are told of at once, but never asked for.
    np.testing.assert_allclose(alone[:few], at_once[:few], atol=0.05)
    assert abs(alone.mean() - at_once.mean()) < 0.1


def test_both_together_are_the_weighted_mean(models):
    counts, encoder = models
    both = Mixture(counts, encoder.module, encoder.places(), 0.7)
    (by_counts,) = counts.surprises([TEXTS[1]])
    alone = walked(Mixture(counts, encoder.module, 256, 0.0), TEXTS[1], 256)
    found = walked(both, TEXTS[1], encoder.places())
    np.testing.assert_allclose(found, mixed(by_counts, alone, 0.7), rtol=1e-6)
    context = bytes(255)
    assert both.following(context).sum() == pytest.approx(1)


def test_another_text_is_not_told_from_the_one_before(models):
    counts, encoder = models
    model = Mixture(counts, encoder.module, encoder.places(), 0.0)
    fresh = walked(Mixture(counts, encoder.module, 256, 0.0), "abc", 256)
    walked(model, TEXTS[0], 256)
    np.testing.assert_allclose(walked(model, "abc", 256), fresh, atol=1e-5)


def test_the_middle_of_a_text_does_not_begin_it(models):
    counts, encoder = models
    module, middle = encoder.module, b" question to be or not"
    found = Mixture(counts, module, len(middle) + 1, 0.0).following(middle)
    seen = torch.tensor([[byte + SPECIAL for byte in middle[-((len(middle) + 1) // 2) :]]])
    with torch.inference_mode():
        share = module.one_more(seen, module.listening())[0].softmax(-1).numpy()
    share = np.concatenate([share[END : END + 1], share[SPECIAL + 1 :]])  # 0 is the end
    np.testing.assert_allclose(found, share / share.sum(), rtol=1e-4)


def test_the_weight_is_the_one_that_costs_least():
    rng = np.random.default_rng(0)
    good, bad = rng.random(500) * 0.1, 3 + rng.random(500)
    assert best_weight(good, bad) == 1.0
    assert best_weight(bad, good) == 0.0
    one = np.where(np.arange(500) % 2, good, bad)
    assert best_weight(one, one[::-1].copy()) == pytest.approx(0.5, abs=0.15)
