"""Word vectors in closed form, and texts out of them."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.contract import check_encoder, check_pretext
from stepwell.encoders import WordEncoder
from stepwell.encoders.words.encoder import words_of
from stepwell.encoders.words.vectors import associated, counted, vectors
from stepwell.interfaces import Batch, StepwellError, UsageError
from stepwell.kit.hashing import digest_rows
from stepwell.pretexts.texts import TextNeighbours, TextViews

THEMES = ("cat dog horse cow sheep", "red green blue black white", "run walk jump swim climb")


def batch_of(texts):
    ids = np.array([str(i) for i in range(len(texts))])
    column = np.empty(len(texts), object)
    column[:] = texts
    return Batch(ids, {"text": column}, ids, digest_rows(text.encode() for text in texts))


def themed(count=300, seed=0):
    """Texts of words of one theme, among words that mean nothing; and the themes."""
    rng = np.random.default_rng(seed)
    theme = rng.integers(0, len(THEMES), count)
    found = []
    for each in theme:
        words = [*rng.choice(THEMES[each].split(), 4), *rng.choice(["the", "of", "and", "it"], 4)]
        found.append(" ".join(rng.permutation(words)))
    return batch_of(found), theme


def test_the_nearest_words_are_those_of_the_same_theme():
    encoder = WordEncoder("fast").fit(themed()[0])
    near = encoder.nearest("Cat", 4)
    assert {word for word, _ in near} == {"dog", "horse", "cow", "sheep"}
    assert near == sorted(near, key=lambda pair: -pair[1])
    assert encoder.vectors.shape == (len(encoder.words), 100)
    with pytest.raises(UsageError, match="Did you mean"):
        encoder.nearest("hors")


def test_counts_are_those_of_every_pair_within_the_window():
    texts = [np.array([0, 1, 2, 1]), np.array([2, 0]), np.array([3]), np.empty(0, int)]
    expected = np.zeros((4, 4), int)
    for text in texts:
        for i in range(len(text)):
            for j in range(len(text)):
                if i != j and abs(i - j) <= 2:
                    expected[text[i], text[j]] += 1
    np.testing.assert_array_equal(counted(texts, 4, window=2).toarray(), expected)
    halves = counted(texts[:1], 4, 2) + counted(texts[1:], 4, 2)  # counts add up
    np.testing.assert_array_equal(halves.toarray(), expected)


def test_association_is_positive_mutual_information():
    counts = counted([np.array([0, 1, 0, 2]), np.array([1, 2, 2, 3])], 4)
    dense = counts.toarray().astype(float)
    own = dense.sum(1)
    context = own**0.75 / (own**0.75).sum()
    with np.errstate(divide="ignore"):
        expected = np.maximum(np.log(dense / own[:, None] / context), 0)
    np.testing.assert_allclose(associated(counts).toarray(), expected, atol=1e-12)


def test_vectors_of_one_theme_point_the_same_way():
    batch, _ = themed()
    encoder = WordEncoder("fast").fit(batch)
    alone = encoder.embed(batch_of(["cat", "sheep", "blue", "swim"]))
    near = alone @ alone.T
    assert near[0, 1] > 0.5
    assert np.abs(near[0, 2:]).max() < near[0, 1] - 0.3
    assert vectors(counted([], 1), 5).shape == (1, 5)


def test_what_words_share_outweighs_what_all_texts_have():
    batch, theme = themed()
    z = WordEncoder("fast").fit(batch).embed(batch)
    z = z - z.mean(0)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    nearest = (z @ z.T - 2 * np.eye(len(z))).argmax(1)
    assert (theme[nearest] == theme).mean() > 0.98


def test_the_encoder_keeps_its_promises():
    batch, _ = themed(60)
    check_encoder(
        lambda: WordEncoder("fast"), batch, batch_of(["the cat", "", "nothing known", "red"])
    )
    encoder = WordEncoder("fast").fit(batch)
    assert not encoder.embed(batch_of(["", "xyz"])).any()
    twin = encoder.randomised(3)
    assert not np.allclose(twin.embed(batch), encoder.embed(batch))
    with pytest.raises(StepwellError, match="words come again"):
        WordEncoder().fit(batch_of(["one", "two", "three"]))


def test_words_of_any_script():
    assert words_of("Don't PANIC, größer 42") == ["don", "'", "t", "panic", ",", "größer", "42"]
    assert words_of("第三行 abc") == ["第", "三", "行", "abc"]
    assert words_of("\u0440\u0443\u0441\u0441\u043a\u0438\u0439 한국어") == ["русский", "한국어"]


@pytest.mark.parametrize("kind", [TextViews, TextNeighbours])
def test_parts_make_up_the_text(kind):
    batch = batch_of(
        ["one two three four five", "a b", "第三行文字在这里", "six seven eight nine", ""]
    )
    check_pretext(kind(), batch)
    (pairs,) = kind().pairs(batch, 0)
    assert pairs.x.ids.tolist() == ["0", "0", "2", "2", "3", "3"]  # too short ones have none
    first, second = (str(text).split() for text in pairs.x.data["text"][:2])
    assert sorted(first + second) == sorted(["one", "two", "three", "four", "five"])
    if kind is TextNeighbours:
        assert first == ["one", "two"]
    other = next(iter(kind().pairs(batch, 1))).x.data["text"].tolist()
    assert (other == pairs.x.data["text"].tolist()) == (kind is TextNeighbours)
    alone = next(iter(kind().pairs(batch.take(slice(3, 5)), 0)))  # whoever stands beside it
    assert alone.x.data["text"].tolist() == pairs.x.data["text"][4:].tolist()
    assert not len(next(iter(kind().pairs(batch.take(slice(4, 5)), 0))).x)


def test_ends_of_a_direction_in_words():
    batch, theme = themed()
    encoder = WordEncoder("fast").fit(batch)
    z = encoder.embed(batch)
    low, high = encoder.extremes(z[theme == 0].mean(0) - z[theme == 1].mean(0))
    assert set(high) <= set(THEMES[0].split())
    assert set(low) <= set(THEMES[1].split())
    assert len(low) == len(high) == 4
