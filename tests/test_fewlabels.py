"""The row for the head that fine-tuning would fit is what fine-tuning gives."""

from __future__ import annotations

import numpy as np
import pytest

import stepwell


@pytest.fixture(scope="module")
def shapes():
    """Bars that lie or stand, thin or thick, somewhere, on grey noise."""
    rng = np.random.default_rng(0)
    x = rng.integers(90, 130, (400, 16, 16, 1))
    y = np.arange(400) % 4
    for image, kind, at in zip(x, y, rng.integers(2, 11, 400), strict=True):
        band = slice(at, at + 1 + 2 * (kind // 2))
        image[(band, slice(None)) if kind % 2 else (slice(None), band)] += 90
    return x.astype(np.uint8), np.array(["thin |", "thin -", "thick |", "thick -"])[y]


def test_the_row_is_what_finetune_reaches(shapes, tmp_path):
    x, y = shapes
    known, asked = tmp_path / "known.npz", tmp_path / "asked.npz"
    np.savez(known, images=x[:300], labels=y[:300])
    np.savez(asked, images=x[300:], labels=y[300:])
    run = stepwell.learn(known, tmp_path / "run", preset="fast", report=False)
    scores = run.evaluate(known, asked)
    head = scores["head"][-1]
    assert head["labels"] == "all"
    run.finetune(known)
    told = [row["label"] for row in run.predict(asked)]
    assert head["value"] == pytest.approx(100 * np.mean(np.array(told) == y[300:]), abs=0.01)
    each = [100 * np.mean(np.array(told)[y[300:] == name] == name) for name in np.unique(y)]
    assert head["balanced"] == pytest.approx(np.mean(each), abs=0.01)


def test_views_that_all_find_are_made_harder(shapes, tmp_path):
    run = stepwell.learn(shapes[0], tmp_path / "run", preset="fast", report=False)
    scores = stepwell.scoring.read_scores(run)
    rest = [row["value"] for row in scores["retrieval"] if row["role"] != "ours"]
    ours = next(row["value"] for row in scores["retrieval"] if row["role"] == "ours")
    if scores["retrieval_test"]:
        assert "harder views" in scores["retrieval_test"]
        assert scores["retrieval_test"] in scores["verdict"]["sentence"]
    else:
        assert min(ours, max(rest)) < 99
