"""What is promised on average is told by class; a mix of classes that is another is told."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.adapt import Held, covered, mixed_otherwise


def test_a_class_that_sets_miss_is_told():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [180, 20])
    sure = np.where(truth == 0, 0.9, 0.3) + 0.05 * rng.standard_normal(200)
    shares = np.stack(
        [np.where(truth == 0, sure, 1 - sure), np.where(truth == 0, 1 - sure, sure)], 1
    )
    rows = covered(Held(shares.astype(np.float32), truth), ["common", "rare"])
    assert [(row["class"], row["held"]) for row in rows] == [("common", 180), ("rare", 20)]
    assert rows[0]["covered"] > 0.95 > 0.6 > rows[1]["covered"]
    together = (180 * rows[0]["covered"] + 20 * rows[1]["covered"]) / 200
    assert together == pytest.approx(0.9, abs=0.02)
    assert covered(None, ["a", "b"]) == []
    assert covered(Held(shares[:5].astype(np.float32), truth[:5]), ["common", "rare"]) == []


def held(truth, right=0.9, seed=0):
    """What a head says that is right so often."""
    rng = np.random.default_rng(seed)
    told = np.where(rng.random(len(truth)) < right, truth, rng.integers(0, 3, len(truth)))
    return Held(np.eye(3, dtype=np.float32)[told], truth)


def test_labels_that_are_mixed_otherwise_than_the_data():
    names = ["a", "b", "c"]
    told = held(np.repeat([0, 1, 2], [800, 150, 50]), seed=1).shares
    found = mixed_otherwise(held(np.arange(90) % 3), told, names)
    assert found["class"] == "a"
    assert found["labels"] == pytest.approx(1 / 3, abs=0.1)
    assert found["data"] == pytest.approx(0.77, abs=0.05)
    assert mixed_otherwise(held(np.repeat([0, 1, 2], [72, 14, 4])), told, names) is None
    assert mixed_otherwise(None, told, names) is None
    assert mixed_otherwise(held(np.arange(90) % 3), told[:0], names) is None


def test_mistakes_of_a_head_are_no_other_mix():
    """Both sides are told by a head that is wrong most of the time, with a leaning."""
    warned = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        said = [rng.choice(10, n, p=np.arange(1, 11) / 55) for n in (20, 2000)]
        known = Held(np.eye(10, dtype=np.float32)[said[0]], np.arange(20) % 10)
        warned += mixed_otherwise(known, np.eye(10)[said[1]], list("abcdefghij")) is not None
    assert warned <= 2
