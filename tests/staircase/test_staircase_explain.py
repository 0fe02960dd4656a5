"""Planted structure is named, views that turn it are, and labels are weighed."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import photo_windows

from stepwell.interfaces import Batch
from stepwell.staircase.explain import Explanation, correlations, explain, information
from stepwell.staircase.statistics import image_statistics, text_statistics


def batch(images):
    n = len(images)
    ids = np.array([str(i) for i in range(n)])
    return Batch(ids, {"image": images.astype(np.uint8)}, ids, np.zeros((n, 2), np.uint64))


def planted(what, seed, n=120):
    """Windows of photographs with something added by a random amount, and that amount."""
    rng = np.random.default_rng(seed)
    images = photo_windows(n).astype(float)
    amount = rng.uniform(0, 1, n)
    if what == "brightness":
        images = images * 0.5 + 120 * amount[:, None, None, None]
    elif what == "corner":
        images[:, :8, -8:] = 255 * amount[:, None, None, None]
    elif what == "hue":
        tint = np.array([1.0, -0.5, -0.5])
        images = images * 0.6 + 50 + 100 * (amount[:, None, None, None] - 0.5) * tint
    return batch(np.clip(images, 0, 255)), amount


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("brightness", "brightness"),
        ("corner", "light in the upper right corner"),
        ("hue", "hue: red rather than cyan"),
    ],
)
def test_a_planted_structure_is_named(what, name, seed):
    images, amount = planted(what, seed)
    rng = np.random.default_rng(seed)
    z = amount[:, None] + 0.1 * rng.standard_normal((len(amount), 1))
    found = explain(z, image_statistics(images), {})[0]
    assert found.name == name
    assert found.r > 0.5


def test_edges_are_named_by_their_direction():
    stripes = np.zeros((40, 16, 16, 1))
    upright = np.arange(40) % 2 == 0
    stripes[upright, :, ::4] = 255
    stripes[~upright, ::4, :] = 255
    found = explain(upright[:, None].astype(float), image_statistics(batch(stripes)), {})[0]
    assert found.words.startswith("≈ vertical edges rather than horizontal edges (r = ")
    less = explain(-upright[:, None].astype(float), image_statistics(batch(stripes)), {})[0]
    assert less.words.startswith("≈ horizontal edges rather than vertical edges (r = ")


def test_size_is_what_stands_out_of_the_border():
    images, sides = np.full((12, 24, 24, 3), 20.0), np.arange(2, 14)
    for image, side in zip(images, sides, strict=True):
        image[5 : 5 + side, 5 : 5 + side] = 200
    size = image_statistics(batch(images))["size of what stands out"]
    np.testing.assert_allclose(size, sides**2 / 24**2)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (2, 3, 1), (8, 8, 3)])
def test_statistics_of_small_and_constant_images_are_finite(shape):
    statistics = image_statistics(batch(np.full((5, *shape), 7)))
    for values in statistics.values():
        assert values.shape == (5,)
        assert np.isfinite(values).all()
    z = np.random.default_rng(0).standard_normal((5, 2))
    assert [found.words for found in explain(z, statistics, {})] == ["", ""]


def test_views_that_keep_and_turn_a_dimension():
    z = np.random.default_rng(0).standard_normal((200, 2))
    rng = np.random.default_rng(1)
    other = rng.standard_normal((200, 2))
    changed = {"same": z, "turned": -z, "lost": other, "half": z * [[1, -1]]}
    first, second = explain(z, {}, changed)
    assert first.keeps == ("same", "half")
    assert first.flips == ("turned",)
    assert second.flips == ("turned", "half")


def test_words():
    assert Explanation(2, "vertical edges in the lower half", 0.81).words == (
        "≈ vertical edges in the lower half (r = .81)"
    )
    assert Explanation(0, "brightness", -1.0).words == "≈ less brightness (r = 1.00)"
    assert Explanation(0, "hue: red rather than cyan", -0.5).words == (
        "≈ hue: cyan rather than red (r = .50)"
    )
    assert Explanation(0).words == ""
    assert (
        Explanation(0, "length", 0.9, told="good rather than bad").words == "good rather than bad"
    )


def test_statistics_of_texts():
    texts = np.array(["One TWO, three 4", "", "a b c d e f g h"], object)
    ids = np.array(list("abc"))
    found = text_statistics(Batch(ids, {"text": texts}, ids, np.zeros((3, 2), np.uint64)))
    np.testing.assert_allclose(np.exp(found["length"]), [4, 1, 8])
    np.testing.assert_allclose(found["long words"], [13 / 4, 0, 1])
    np.testing.assert_allclose(found["digits"], [1 / 16, 0, 0])
    np.testing.assert_allclose(found["capitals"], [4 / 16, 0, 0])
    np.testing.assert_allclose(found["signs between words"], [1 / 16, 0, 0])


def test_information_about_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 2000)
    z = np.stack([labels + 0.01 * rng.standard_normal(2000), rng.standard_normal(2000)], 1)
    known, nothing = information(z, [str(label) for label in labels])
    assert 1.7 < known <= 2.0  # bins of equal count cut through a class or two
    assert nothing < 0.02


@pytest.mark.parametrize(("n", "classes"), [(24, 4), (40, 4), (80, 10), (240, 2)])
def test_labels_by_chance_tell_nothing(n, classes):
    rng = np.random.default_rng(n)
    labels = [str(label) for label in rng.integers(0, classes, n)]
    told = information(rng.standard_normal((n, 24)), labels)
    assert (told > 0).sum() <= 2


def test_equal_values_tell_nothing_whatever_their_order():
    labels = ["a"] * 100 + ["b"] * 100
    assert information(np.ones((200, 1)), labels).tolist() == [0.0]
    told = information(np.repeat([0.0, 1.0], 100)[:, None], labels)
    assert told[0] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("n", [12, 40, 240])
def test_noise_names_nothing(n):
    rng = np.random.default_rng(n)
    statistics = {f"s{i}": rng.standard_normal(n) for i in range(37)}
    found = explain(rng.standard_normal((n, 24)), statistics, {})
    assert sum(bool(each.words) for each in found) <= 1


def test_a_statistic_that_is_not_finite_is_left_out():
    z = np.random.default_rng(0).standard_normal((100, 1))
    assert explain(z, {"bad": np.full(100, np.nan), "good": z[:, 0]}, {})[0].name == "good"


def test_a_rival_of_the_topic_must_be_clear_too():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 1))
    narrow = 0.6 * z[:, 0] + rng.standard_normal(400)
    wide = 100 * (0.2 * z[:, 0] + rng.standard_normal(400))
    statistics = {"hue: a rather than b": narrow, "hue: c rather than d": wide}
    assert explain(z, statistics, {})[0].name == "hue: a rather than b"


def test_correlations_of_what_does_not_vary_are_zero():
    a = np.stack([np.ones(50), np.arange(50.0)], 1)
    r = correlations(a, a)
    np.testing.assert_allclose(r, [[0, 0], [0, 1]], atol=1e-12)
