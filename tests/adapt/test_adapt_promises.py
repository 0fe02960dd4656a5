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


def test_labels_that_are_mixed_otherwise_than_the_data():
    told = np.eye(3)[np.repeat([0, 1, 2], [80, 15, 5])]
    found = mixed_otherwise(np.arange(30) % 3, told, ["a", "b", "c"])
    assert found == {"class": "a", "labels": pytest.approx(1 / 3), "data": pytest.approx(0.8)}
    assert mixed_otherwise(np.repeat([0, 1, 2], [24, 4, 2]), told, ["a", "b", "c"]) is None
    assert mixed_otherwise(np.arange(30) % 3, told[:0], ["a", "b", "c"]) is None
