"""kNN told while a network is trained."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.online import MOST, Online, few


class Toy:
    """Features that are the pixels, until it has learned: then the class."""

    class module:
        training = True
        eval = staticmethod(lambda: None)
        train = staticmethod(lambda mode: None)

    learned = False

    def embed(self, batch):
        pixels = np.asarray(batch.data["image"], np.float32).reshape(len(batch), -1)
        return np.eye(10)[[int(i.split("-")[0]) for i in batch.ids]] if self.learned else pixels


@pytest.fixture
def labelled(digit_batch):
    truth = [int(name.split("/")[-2]) for name in digit_batch.ids]
    ids = np.array([f"{label}-{i}" for i, label in enumerate(truth)])
    return type(digit_batch)(ids, digit_batch.data, ids, digit_batch.digest), [*map(str, truth)]


def test_figures_stand_beside_their_controls(labelled):
    encoder = Toy()
    judge = Online(encoder, *labelled)
    assert set(judge.told()) == {"knn raw", "knn first"}  # too early for another
    assert judge.facts["knn raw"] == judge.facts["knn first"] < 100
    encoder.learned = True
    assert judge.told(last=True)["knn"] == 100
    encoder.learned = False
    judge._begun -= 1e6  # long ago: it is time again
    assert judge.told()["knn"] == judge.facts["knn raw"]


class Source:
    """Of examples that are asked for by their ids."""

    def __init__(self, batch):
        self.batch = batch

    def batches(self, size, ids):
        yield self.batch.take(np.flatnonzero(np.isin(self.batch.ids, list(ids))))


def test_examples_in_order_of_classes_are_halved_all_the_same(labelled):
    batch, names = labelled
    order = np.argsort(names, kind="stable")
    judge = Online(Toy(), batch.take(order), [names[i] for i in order])
    assert judge.facts["knn raw"] > 30  # 0, if halves were of other classes


def test_a_few_are_drawn_and_too_few_are_none(labelled):
    batch, names = labelled
    known = dict(zip(map(str, batch.ids), names, strict=True))
    some, theirs = few(Source(batch), known, 0)
    assert len(some) == len(theirs) == min(MOST, len(batch))
    assert all(known[str(i)] == label for i, label in zip(some.ids, theirs, strict=True))
    assert few(Source(batch), dict(list(known.items())[:9]), 0) is None
    assert few(Source(batch), {}, 0) is None
