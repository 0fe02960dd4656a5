"""The control of a training: whose partners are shown, whoever is in the same process."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stepwell.interfaces import Batch, Seen
from stepwell.kit.hashing import digest_rows
from stepwell.showing import Showing, handed_on


class Named:
    """Shows each example's number in every view, and tells it."""

    def __init__(self, views, hidden=False):
        self.views, self.hides = views, hidden

    def seen(self, batch, seed, epoch, views=2):
        own = np.array([int(i) for i in batch.ids])
        if self.hides:
            return Seen([own], {}, [own])
        return Seen([own] * self.views, {"number": own})


class Data:
    def __init__(self, size):
        ids = np.array([str(i) for i in range(size)])
        self.batch = Batch(ids, {}, ids, digest_rows(i.encode() for i in ids))

    def __len__(self):
        return len(self.batch)

    def take(self, rows):
        return self.batch.take(rows)


def shown(views, size, ranks, takes="views"):
    """What all ranks are shown of a batch, one after the other."""
    fabric = SimpleNamespace(device=SimpleNamespace(type="cpu"), global_rank=0)
    pretext = Named(views, takes == "hidden")
    showing = Showing(None, pretext, Data(size), 0, fabric)
    objective, width = SimpleNamespace(takes=takes, views=2), size // ranks
    rows = np.random.default_rng(0).permutation(size)
    slices = [slice(r * width, (r + 1) * width) for r in range(ranks)]
    return rows, [showing.shuffled(rows, own, 0, objective) for own in slices]


@pytest.mark.parametrize("views", [1, 2, 6])
@pytest.mark.parametrize(("size", "ranks"), [(4, 1), (8, 2), (32, 1), (32, 4), (64, 2)])
def test_nobody_keeps_a_partner_and_ranks_do_not_matter(views, size, ranks):
    rows, parts = shown(views, size, ranks)
    found = [np.concatenate([part.views[v] for part in parts]) for v in range(views)]
    told = np.concatenate([part.told["number"] for part in parts])
    np.testing.assert_array_equal(found[0], rows)
    for number, view in enumerate(found):
        np.testing.assert_array_equal(view, np.roll(rows, handed_on(number, size)))
        assert number == 0 or (view != rows).all()
    assert (told != rows).all()
    if views < size - 1:  # what is told is of no view that is shown
        assert all((told != view).all() for view in found)


@pytest.mark.parametrize(("size", "ranks"), [(4, 1), (8, 2), (32, 4)])
def test_what_is_hidden_is_compared_with_another_example(size, ranks):
    rows, parts = shown(1, size, ranks, "hidden")
    own, mask, whole = (
        np.concatenate([get(part) for part in parts])
        for get in (lambda p: p.views[0], lambda p: p.hidden[0], lambda p: p.whole[0])
    )
    np.testing.assert_array_equal(own, rows)
    np.testing.assert_array_equal(mask, rows)
    np.testing.assert_array_equal(whole, np.roll(rows, 1))


def test_an_objective_is_told_the_vocabulary():
    pytest.importorskip("torch", reason="torch is an optional part")
    pretext = Named(1)
    table = SimpleNamespace(weight=range(70))
    images = SimpleNamespace(pixels=(1, 8, 8), places=lambda: 5)
    texts = SimpleNamespace(vocabulary=table, tokens=range(70), laid_out=iter, places=lambda: 5)
    fabric = SimpleNamespace(device=SimpleNamespace(type="cpu"), global_rank=0)
    wanted = SimpleNamespace(reads="places", views=1)
    task = Showing(texts, pretext, Data(4), 0, fabric).task(wanted)
    assert (task.tokens, task.places, task.embedding) == (70, 5, table)
    task = Showing(images, pretext, Data(4), 0, fabric).task(wanted)
    assert (task.places, task.pixels, task.embedding) == (5, (1, 8, 8), None)
