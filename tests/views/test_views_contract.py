"""Every view: at strength 0 nothing, never out of range, whatever else is in the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.interfaces import Batch, UsageError
from stepwell.kit.hashing import digest_rows
from stepwell.views import RECIPES, VIEWS, parse, pictures, render

COLOUR_ONLY = ("saturation", "gain", "grey")
SHAPES = [(9, 9, 3), (8, 8, 1), (7, 7, 5), (12, 6, 3), (1, 1, 3), (2, 2, 1)]


def batch(count: int = 6, shape: tuple[int, ...] = (9, 9, 3), seed: int = 0) -> Batch:
    """Images from black to white, with flat ones among them."""
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    images[0], images[-1] = 0, 255
    ids = np.array([f"{seed}-{i}" for i in range(count)])
    return Batch(ids, {"image": images}, ids, digest_rows(str(i).encode() for i in ids))


def strong(name: str) -> str:
    """Each view as strong as it makes sense."""
    return f"{name}:{60 if name == 'rotation' else 0.9}"


def seen(recipe: str, of: Batch, seed: int = 3, epoch: int = 0) -> np.ndarray:
    return np.asarray(render(of, parse(recipe), seed, epoch).data["image"])


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_strength_zero_changes_nothing(name, shape):
    images = batch(shape=shape)
    np.testing.assert_allclose(seen(f"{name}:0", images), images.data["image"], atol=1e-3)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape_type_and_range_are_kept(name, shape):
    images = batch(40, shape)
    before = images.data["image"].copy()
    result = seen(strong(name), images)
    assert result.shape == (40, *shape)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert result.min() >= -1e-3
    assert result.max() <= 255 + 1e-3
    np.testing.assert_array_equal(images.data["image"], before)


@pytest.mark.parametrize("name", VIEWS)
def test_float_images_are_not_written_to(name):
    images = batch()
    images = images.with_data(image=images.data["image"].astype(np.float32))
    before = images.data["image"].copy()
    seen(strong(name), images)
    np.testing.assert_array_equal(images.data["image"], before)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", [(9, 9, 3), (8, 8, 1), (40, 40, 3)], ids=str)
def test_other_images_of_the_batch_change_nothing(name, shape):
    images = batch(20, shape)
    whole = seen(strong(name), images)

    @settings(max_examples=15)
    @given(st.permutations(range(20)), st.integers(1, 20))
    def in_any_company(order, size):
        for start in range(0, 20, size):
            rows = np.array(order[start : start + size])
            np.testing.assert_array_equal(seen(strong(name), images.take(rows)), whole[rows])

    in_any_company()


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_call_gives_the_same_view_and_another_seed_or_epoch_another(name):
    images = batch(40)
    first = seen(strong(name), images)
    np.testing.assert_array_equal(first, seen(strong(name), images))
    for other in (seen(strong(name), images, seed=4), seen(strong(name), images, epoch=1)):
        assert np.abs(other - first).max() > 1


@pytest.mark.parametrize("name", VIEWS)
def test_it_does_something_by_default(name):
    images = batch(40)
    changed = np.abs(seen(name, images) - images.data["image"]).max((1, 2, 3)) > 1
    assert changed.sum() >= 3


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_but_the_content_draws_the_numbers(name):
    images = batch(12)
    ids = np.array([f"elsewhere/{i}" for i in range(12)])
    moved = Batch(ids, images.data, ids, images.digest)
    np.testing.assert_array_equal(seen(strong(name), images), seen(strong(name), moved))


@pytest.mark.parametrize("name", VIEWS)
def test_an_empty_batch_stays_empty(name):
    assert seen(strong(name), batch().take(slice(0, 0))).shape == (0, 9, 9, 3)


@pytest.mark.parametrize("name", COLOUR_ONLY)
@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_colour_views_leave_what_is_no_colour(name, channels):
    images = batch(20, (6, 6, channels))
    np.testing.assert_array_equal(seen(f"{name}:1", images), images.data["image"])


@pytest.mark.parametrize("name", [n for n in VIEWS if n not in COLOUR_ONLY])
@pytest.mark.parametrize("channels", [1, 7])
def test_other_views_work_on_any_number_of_channels(name, channels):
    images = batch(40, (8, 8, channels))
    assert np.abs(seen(strong(name), images) - images.data["image"]).max() > 1


def test_grey_images_stay_grey_under_colour_views():
    images = batch(20, (6, 6, 1))
    images = images.with_data(image=np.repeat(images.data["image"], 3, -1))
    for name in ("saturation", "grey", "brightness", "contrast"):
        result = seen(f"{name}:1", images)
        np.testing.assert_allclose(result, result[..., :1].repeat(3, -1), atol=1e-2)


@pytest.mark.parametrize("name", ["crop", "scaling", "translation", "rotation", "blur", "erase"])
def test_what_is_flat_stays_flat_where_pixels_only_move(name):
    flat = batch(5)
    flat = flat.with_data(image=np.full((5, 9, 9, 3), 137, np.uint8))
    np.testing.assert_allclose(seen(strong(name), flat), 137, atol=1e-2)


def test_flip_mirrors_exactly():
    images = batch()
    mirrored = images.data["image"][:, :, ::-1]
    np.testing.assert_array_equal(seen("flip:1", images), mirrored)


def test_translation_moves_by_at_most_its_strength():
    images = np.zeros((200, 21, 21, 1), np.uint8)
    images[:, 10, 10] = 255
    ids = np.array([str(i) for i in range(200)])
    dots = Batch(ids, {"image": images}, ids, digest_rows(i.encode() for i in ids))
    result = seen("translation:0.2", dots)[..., 0]
    place = np.arange(21)
    total = result.sum((1, 2))
    for axis in (1, 2):
        middle = (result.sum(axis) * place).sum(1) / total
        assert np.abs(middle - 10).max() <= 0.2 * 21 + 1e-3
        assert np.abs(middle - 10).max() > 0.15 * 21
        assert abs(middle.mean() - 10) < 0.6


def test_noise_has_the_strength_it_says():
    grey = batch(400, (16, 16, 1))
    grey = grey.with_data(image=np.full((400, 16, 16, 1), 128, np.uint8))
    spread = (seen("noise:0.1", grey) - 128).std((1, 2, 3))
    # Uniform between none and a tenth of the range.
    assert spread.max() < 0.1 * 255 * 1.15
    assert abs(spread.mean() - 0.05 * 255) < 1


def test_grey_takes_colour_from_as_many_as_it_says():
    images = batch(1000, (4, 4, 3))
    result = seen("grey:0.3", images)
    share = (np.ptp(result, axis=-1).max((1, 2)) < 1e-2).mean()
    assert 0.25 < share < 0.35


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_read_and_seen(recipe):
    views = parse(recipe)
    assert views
    assert all(view.name in VIEWS for view in views)
    assert seen(recipe, batch(8)).shape == (8, 9, 9, 3)


def test_recipes_read_names_strengths_and_other_recipes():
    assert [repr(v) for v in parse("crop:0.3 brightness")] == ["crop:0.3", "brightness:0.4"]
    assert [repr(v) for v in parse("zoom flip")] == ["crop:0.5", "flip:0.5"]
    assert parse("") == []
    assert len(parse("jitter crop")) == 6


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("corp:0.5", "found 'corp'. Did you mean 'crop'?"),
        ("jiter", "Did you mean 'jitter'?"),
        ("crop:a", "Expected a number from 0 to 1 as strength of 'crop', found 'a': write for"),
        ("crop:1.5", "from 0 to 1 as strength of 'crop', found '1.5'"),
        ("rotation:200", "from 0 to 180"),
        ("blur:-0.1", "found '-0.1'"),
        ("noise:nan", "found 'nan'"),
        ("xyzzy", "Views: flip, crop"),
    ],
)
def test_what_is_misspelt(recipe, words):
    with pytest.raises(UsageError) as caught:
        parse(recipe)
    assert words in str(caught.value)


def test_a_view_may_come_twice_and_then_draws_anew():
    images = batch(20)
    once, twice = seen("translation:0.3", images), seen("translation:0.3 translation:0.3", images)
    assert np.abs(once - twice).max() > 1


def test_pictures_round_and_clip():
    given_, expected = [-3.0, 0.4, 0.6, 254.6, 300.0], [0, 0, 1, 255, 255]
    result = pictures(np.array(given_, np.float32))
    assert result.dtype == np.uint8
    assert result.tolist() == expected


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", [(9, 9, 3), (8, 6, 1)], ids=str)
def test_on_tensors_views_are_the_same(name, shape):
    torch = pytest.importorskip("torch", reason="torch is an optional part")
    images = batch(20, shape)
    placed = images.with_data(image=torch.tensor(images.data["image"]))
    found = render(placed, parse(strong(name)), 3).data["image"]
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), seen(strong(name), images), atol=2e-2)
