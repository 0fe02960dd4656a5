"""Pretexts that networks are trained on: what they show, and what they ask for."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.contract import ContractError, check_shown
from stepwell.interfaces import Batch, Seen, UsageError
from stepwell.kit.hashing import digest_rows
from stepwell.pretexts import PRETEXTS
from stepwell.pretexts.clusters import Clusters, clustered, renumbered
from stepwell.pretexts.missing import Missing
from stepwell.pretexts.multi_crop import MultiCrop
from stepwell.pretexts.neighbours import AROUND, SHARE, Neighbours
from stepwell.pretexts.order import Order, apart, relations
from stepwell.pretexts.transform import SCALES, Transform
from stepwell.pretexts.two_views import TwoViews

ON_IMAGES = [name for name, kind in PRETEXTS.items() if "image" in kind.kinds]


def pictures(count=12, side=24, seed=0):
    """Images whose red says the row of each pixel, and green its column."""
    place = np.arange(side) * (255 / (side - 1))
    images = np.zeros((count, side, side, 3), np.uint8)
    images[..., 0], images[..., 1] = place[None, :, None], place[None, None, :]
    images[..., 2] = np.random.default_rng(seed).integers(0, 255, (count, side, side))
    ids = np.array([f"{seed}-{i}" for i in range(count)])
    return Batch(ids, {"image": images}, ids, digest_rows([i.tobytes() for i in images]))


def ready(name):
    """A pretext as training has it: clusters are there."""
    made, batch = PRETEXTS[name](), pictures()
    if name == "clusters":
        made = Clusters((), count=3)
        made.renew(batch.digest, np.random.default_rng(0).standard_normal((12, 5)), 0)
    return made


@pytest.mark.parametrize("name", ON_IMAGES)
def test_what_is_shown_keeps_the_contract(name):
    check_shown(ready(name), pictures(), 3)


def test_the_contract_sees_what_depends_on_the_batch():
    class Numbered(Transform):
        def seen(self, batch, seed, epoch=0, views=1):
            return Seen([batch.data["image"]], {"rotation": np.arange(len(batch)) % 4})

    with pytest.raises(ContractError, match="whatever else"):
        check_shown(Numbered(), pictures())


@pytest.mark.parametrize("name", ON_IMAGES)
def test_what_is_told_is_of_the_classes_announced(name):
    made, batch = ready(name), pictures(400)
    if name == "clusters":
        made.renew(batch.digest, np.random.default_rng(0).standard_normal((400, 5)), 0)
    found = made.seen(batch, 0, 0)
    assert set(found.told) == set(getattr(made, "classes", {}))
    for label, told in found.told.items():
        count, kinds = made.classes[label]
        assert told.reshape(400, -1).shape == (400, count)
        assert set(np.unique(told)) == set(range(kinds))


@pytest.mark.parametrize("name", ON_IMAGES)
def test_options_make_it_again(name):
    made = ready(name)
    again = type(made)(**made.options)
    assert again.options == made.options
    assert again.objective == made.objective


@pytest.mark.parametrize("name", ON_IMAGES)
def test_seed_and_epoch_draw_other_views(name):
    made, batch = ready(name), pictures()
    made = type(made)(**{**made.options, "recipe": ["zoom", "jitter"]})
    if name == "clusters":
        made.renew(batch.digest, np.random.default_rng(0).standard_normal((12, 5)), 0)
    first = made.seen(batch, 0, 0).views[0]
    for other in (made.seen(batch, 1, 0), made.seen(batch, 0, 1)):
        assert np.abs(other.views[0] - first).max() > 1


@pytest.mark.parametrize("name", ON_IMAGES)
def test_on_tensors_it_is_the_same(name):
    torch = pytest.importorskip("torch", reason="torch is an optional part")
    made, batch = ready(name), pictures()
    placed = batch.with_data(image=torch.tensor(batch.data["image"]))
    ours, theirs = made.seen(batch, 0, 2), made.seen(placed, 0, 2)
    for one, other in zip(ours.views, theirs.views, strict=True):
        np.testing.assert_allclose(other.numpy(), one, atol=2e-2)


def test_a_turn_is_what_it_is_called():
    found = Transform(of="rotation").seen(pictures(40), 0, 0)
    for image, original, turns in zip(
        found.views[0], pictures(40).data["image"], found.told["rotation"], strict=True
    ):
        np.testing.assert_array_equal(image, np.rot90(original, turns))


def test_scale_and_translation_show_the_part_they_are_called():
    found = Transform(of="scale translation").seen(pictures(200, 25), 0, 0)
    red, green = (found.views[0][..., channel] for channel in (0, 1))
    for level, share in enumerate(SCALES):
        rows = found.told["scale"] == level
        span = (red.max((1, 2)) - red.min((1, 2)))[rows] / 255
        np.testing.assert_allclose(span, 0.6 * share, atol=0.06)
    only = Transform(of="translation").seen(pictures(200, 25), 0, 0)
    middles = only.views[0][..., :2].mean((1, 2)) / 255
    row, column = np.divmod(only.told["translation"], 3)
    np.testing.assert_allclose(middles[:, 0], 0.3 + 0.2 * row, atol=0.02)
    np.testing.assert_allclose(middles[:, 1], 0.3 + 0.2 * column, atol=0.02)
    assert np.ptp(green) > 200


def test_misspelt_transformations_are_refused():
    with pytest.raises(UsageError, match="Did you mean 'rotation'"):
        Transform(of="rotaton")
    with pytest.raises(UsageError, match="found ''"):
        Transform(of="")


@pytest.mark.parametrize("grid", [2, 3])
def test_tiles_stand_where_the_permutation_says(grid):
    made, batch = Order(grid=grid), pictures(60)
    found = made.seen(batch, 0, 0)
    source = apart(grid**2)[found.told["permutation"]]
    image, tile = found.views[0], 24 // grid
    assert image.shape == (60, 24, 24, 3)
    for slot in range(grid**2):
        y, x = (place * tile for place in divmod(slot, grid))
        middle = image[:, y : y + tile, x : x + tile, :2].mean((1, 2)) / 255
        row, column = np.divmod(source[:, slot], grid)
        np.testing.assert_allclose(middle[:, 0], (row + 0.5) / grid, atol=0.08)
        np.testing.assert_allclose(middle[:, 1], (column + 0.5) / grid, atol=0.08)


def test_permutations_differ_in_many_places():
    assert len({tuple(p) for p in apart(4)}) == 24
    nine = apart(9)
    assert len({tuple(p) for p in nine}) == len(nine) == 64
    off = (nine[:, None] != nine[None]).sum(2)
    assert off[~np.eye(64, dtype=bool)].min() >= 6


def test_relations_of_two_tiles():
    found = relations(np.array([[0, 1, 2, 3], [3, 0, 1, 2]]), 2)
    # slots (0, 1) (0, 2) (0, 3) (1, 2) (1, 3) (2, 3), rows then columns
    assert found[0].tolist() == [1, 0, 0, 0, 0, 1, 0, 1, 0, 2, 1, 0]
    assert found[1].tolist() == [2, 2, 1, 1, 0, 0, 2, 1, 2, 0, 1, 2]


def test_orders_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="2 or 3 tiles"):
        Order(grid=4)
    with pytest.raises(UsageError, match="permutation or pairs"):
        Order(of="rows")


def test_the_second_part_is_where_it_is_told_to_be():
    found = Neighbours(()).seen(pictures(300, 40), 0, 0)
    first, second = (view[..., :2].mean((1, 2)) / 255 for view in found.views)
    step = AROUND[found.told["place"]]
    np.testing.assert_array_equal(np.round((second - first) / SHARE), step)
    for view in found.views:
        span = np.ptp(view[..., 0], (1, 2)) / 255
        np.testing.assert_allclose(span, SHARE, atol=0.05)


def test_parts_are_changed_in_colour_and_never_mirrored():
    found = Neighbours(("flip", "zoom-strong", "jitter")).seen(pictures(50), 0, 0)
    plain = Neighbours(()).seen(pictures(50), 0, 0)
    assert all((v[:, 0, -1, 1] >= v[:, 0, 0, 1]).all() for v in found.views)
    assert np.abs(found.views[0] - plain.views[0]).max() > 10


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_as_many_patches_are_hidden_of_each(share):
    found = Missing(share=share, grid=6).seen(pictures(30), 0, 0, views=2)
    assert len(found.views) == len(found.hidden) == 2
    for mask in found.hidden:
        assert mask.shape == (30, 6, 6)
        assert set(mask.sum((1, 2))) == {round(share * 36)}
    assert (found.hidden[0] != found.hidden[1]).any()


def test_pairs_of_the_missing_make_up_the_whole():
    batch = pictures(6)
    (pairs,) = Missing(grid=6).pairs(batch, 0)
    shown, hidden = np.split(pairs.x.data["image"], 2)
    own = batch.data["image"].astype(np.float32)
    same = np.stack([np.abs(side - own).max(-1) < 1e-3 for side in (shown, hidden)])
    assert same.any(0).all()
    assert 0.3 < same[0].mean() < 0.5
    with pytest.raises(UsageError, match="hides some"):
        Missing(share=1)


def test_small_views_come_after_the_large_ones():
    found = MultiCrop(local=3).seen(pictures(), 0, 0)
    assert [view.shape[1] for view in found.views] == [24, 24, 12, 12, 12]
    plain = TwoViews().seen(pictures(), 0, 0)
    np.testing.assert_array_equal(found.views[1], plain.views[1])
    assert np.abs(found.views[2] - found.views[3]).max() > 1


def test_clusters_are_those_of_the_features():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)
    features = 8 * np.eye(4)[truth] + rng.standard_normal((300, 4))
    batch = pictures(300)
    made = Clusters((), count=4)
    made.renew(batch.digest, features, 0)
    label = made.seen(batch, 0, 0).told["cluster"]
    pairs = {(a, b) for a, b in zip(truth, label, strict=True)}
    assert len(pairs) == 4
    made.renew(batch.digest, features[:, ::-1].copy(), 1)
    np.testing.assert_array_equal(made.seen(batch, 0, 0).told["cluster"], label)
    again = Clusters((), count=4)
    again.restore(made.state())
    np.testing.assert_array_equal(again.seen(batch, 5, 5).told["cluster"], label)


def test_clusters_that_were_not_made_are_missed():
    with pytest.raises(UsageError, match="call renew first"):
        Clusters().seen(pictures(), 0, 0)


def test_new_clusters_take_the_numbers_of_old_ones():
    before, other = np.array([0, 0, 1, 1, 2, 2]), np.array([2, 2, 0, 0, 1, 0])
    assert renumbered(other, before, 3).tolist() == [0, 0, 1, 1, 2, 1]


def test_few_features_still_make_clusters():
    assert set(clustered(np.random.default_rng(0).standard_normal((9, 2)), 3, 0)) == {0, 1, 2}


@pytest.mark.parametrize("name", [n for n, kind in PRETEXTS.items() if kind.target == "other"])
def test_pretexts_that_ask_for_a_class_say_what_they_are_for(name):
    with pytest.raises(UsageError, match="--engine gradient"):
        next(ready(name).pairs(pictures(), 0))
