"""Few labels, controls, and the sentence that says what it all means."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV

from stepwell.evaluate.controls import Components, raw_features
from stepwell.evaluate.layout import spread_map
from stepwell.evaluate.probe import BUDGETS, draw, few_labels, knn, linear_predict
from stepwell.evaluate.verdict import labelled_verdict, unlabelled_verdict
from stepwell.interfaces import Batch


@pytest.fixture(scope="module")
def split():
    data, labels = load_digits(return_X_y=True)
    return data[:500], labels[:500], data[500:800], labels[500:800]


def batch(**data: np.ndarray) -> Batch:
    n = len(next(iter(data.values())))
    ids = np.array([str(i) for i in range(n)])
    return Batch(ids, data, ids, np.zeros((n, 2), np.uint64))


def test_a_draw_has_so_many_of_each_class_and_none_twice():
    labels = np.repeat([0, 1, 2], [30, 4, 9])
    rng = np.random.default_rng(0)
    rows = draw(labels, 5, rng)
    assert np.bincount(labels[rows]).tolist() == [5, 4, 5]
    assert len(set(rows)) == len(rows)
    assert set(rows) != set(draw(labels, 5, rng))


@pytest.mark.parametrize("reader", ["knn", "probe"])
def test_more_labels_are_better_and_the_seed_decides_the_draws(reader, split):
    scores = [few_labels(reader, *split, budget) for budget in (1, 10, None)]
    values = [score.value for score in scores]
    assert values == sorted(values)
    assert values[0] > 30
    assert values[2] > 75  # other people wrote the test digits
    assert all(score.low <= score.value <= score.high and score.n == 300 for score in scores)
    assert few_labels(reader, *split, 1, seed=0) == scores[0]
    assert few_labels(reader, *split, 1, seed=1) != scores[0]


@pytest.mark.parametrize("reader", ["knn", "probe"])
def test_labels_that_mean_nothing_score_by_chance(reader, split):
    bank, labels, queries, truth = split
    shuffled = np.random.default_rng(0).permutation(labels)
    assert few_labels(reader, bank, shuffled, queries, truth, 10).value < 25


def test_all_labels_are_one_count_of_hits(split):
    bank, labels, queries, truth = split
    hits = (knn(bank, labels, queries) == truth).mean()
    assert few_labels("knn", *split, None).value == pytest.approx(100 * hits)


def test_a_class_the_bank_does_not_know_is_a_miss(split):
    bank, labels, queries, truth = split
    known = few_labels("knn", bank, labels, queries, truth, None).value
    unknown = np.where(truth == 3, -1, truth)
    lost = few_labels("knn", bank, labels, queries, unknown, None).value
    assert lost == pytest.approx(known - 100 * (truth == 3).mean(), abs=3)


def test_the_probe_is_ridge_on_the_bank_alone(split):
    bank, labels, queries, _ = split
    mean, scale = bank.mean(0), bank.std(0).mean()
    plain = RidgeClassifierCV(alphas=np.logspace(-2, 6, 17)).fit((bank - mean) / scale, labels)
    expected = plain.predict((queries - mean) / scale)
    np.testing.assert_array_equal(linear_predict(bank, labels, queries), expected)
    # What else is tested at the same time changes nothing.
    np.testing.assert_array_equal(linear_predict(bank, labels, queries[:7]), expected[:7])


def test_a_probe_of_one_class_or_of_constant_columns():
    assert linear_predict(np.ones((3, 2)), np.full(3, 4), np.zeros((2, 2))).tolist() == [4, 4]
    flat = linear_predict(np.zeros((6, 2)), np.repeat([0, 1], 3), np.zeros((2, 2)))
    assert set(flat) <= {0, 1}


def test_budgets_are_what_the_report_promises():
    assert BUDGETS == (1, 5, 10, 50, None)


def test_raw_images_are_their_pixels_or_averages_of_them():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(raw_features(batch(image=images)), images.reshape(3, -1))
    large = np.repeat(np.repeat(images, 3, 1), 3, 2)
    np.testing.assert_allclose(raw_features(batch(image=large)), images.reshape(3, -1), atol=1e-3)
    odd = np.full((2, 70, 50, 1), 9, np.uint8)
    np.testing.assert_allclose(raw_features(batch(image=odd)), 9)


def test_raw_series_and_texts():
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    values[0, 0, 0] = np.nan
    assert raw_features(batch(values=values))[0].tolist() == [0, 1, 2, 3, 4, 5]
    texts = raw_features(batch(text=np.array(["a cat", "a cat", "dogs run"])))
    np.testing.assert_array_equal(texts[0], texts[1])
    assert texts[0] @ texts[2] < 0.5 * (texts[0] @ texts[0])
    objects = np.array(["a cat", "a cat", "dogs run"], object)
    np.testing.assert_array_equal(raw_features(batch(text=objects)), texts)
    nothing = raw_features(batch(other=np.array([{}, {}])))
    np.testing.assert_array_equal(nothing, np.zeros((2, 1)))


def test_components_are_principal_and_of_a_width_that_exists(split):
    bank, _, queries, _ = split
    ours = Components(bank, 5)(queries)
    theirs = PCA(5, random_state=0).fit(bank).transform(queries)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-2)
    assert Components(bank, 999)(queries).shape == (300, 64)
    assert Components(bank[:4], 999)(queries).shape == (300, 3)


def row(name: str, role: str, value: float, labels: object = "all") -> dict:
    return {"name": name, "role": role, "value": value, "reader": "knn", "labels": labels}


LABELLED = [row("stepwell", "ours", 80.0), row("whitening only", "ladder", 75.0)]
LABELLED += [row("raw", "control", 60.0), row("PCA", "control", 70.0)]


@pytest.mark.parametrize(
    ("many", "few", "tone", "words"),
    [
        ((4, 16), (1, 5), "good", "It learned, and is better than all others: kNN 80.0 % with all"),
        (
            (4, 16),
            (-1, 5),
            "good",
            "It learned, and is better than all others with all labels, not s",
        ),
        (
            (-4, 16),
            (1, 5),
            "good",
            "It learned, and is better than all others with 5 labels a class",
        ),
        ((-4, 16), (-1, 5), "mixed", "It learned, but not surely more than whitening only or raw"),
        ((4, 16), (-5, -1), "mixed", "Better than all others with all labels, worse than the best"),
        ((-16, -4), (-1, 5), "bad", "Use whitening only instead"),
        ((-16, -4), (-5, -1), "bad", "Use whitening only or raw instead"),
    ],
)
def test_the_labelled_verdict_names_the_best_of_all_others(many, few, tone, words):
    rows = [*LABELLED, row("stepwell", "ours", 40.0, 5), row("raw", "control", 39.0, 5)]
    gaps = {"all": {"PCA": gap(4, 9), "whitening only": gap(*many)}, 5: {"raw": gap(*few)}}
    found = labelled_verdict(rows, gaps)
    assert found["tone"] == tone
    assert found["sentence"].startswith(words)
    assert "80.0 % with all labels (whitening only 75.0)" in found["sentence"]
    assert "40.0 % with 5 labels a class (raw 39.0)" in found["sentence"]
    assert f"95 % interval {many[0]:+.1f} to {many[1]:+.1f}" in found["details"][0]
    assert f"95 % interval {few[0]:+.1f} to {few[1]:+.1f}" in found["details"][1]
    assert len(found["details"]) == 2  # whitening is the best of the others already


def test_what_each_step_of_the_ladder_adds_is_told():
    gaps = {"all": {"PCA": gap(4, 9), "whitening only": gap(1, 9), "features alone": gap(2, 8)}}
    rows = [*LABELLED, row("features alone", "ladder", 74.0)]
    told = labelled_verdict(rows, gaps)["details"]
    assert told[0].startswith("Difference to whitening only with all labels: +5.0")
    assert told[1].startswith("Difference to features alone, what the closed form adds to them")


def test_a_loss_to_the_best_of_many_has_to_be_sure():
    gaps = {"all": {"PCA": gap(4, 9), "whitening only": gap(-4.2, -0.2)}}
    found = labelled_verdict(LABELLED, gaps)  # of a single one it would be; of the best of six not
    assert found["sentence"].startswith("It learned, but not surely more than whitening only")


def test_a_test_that_all_pass_tells_nothing():
    rows = [row("stepwell", "ours", 99.9), row("raw", "control", 99.2)]
    found = labelled_verdict(rows, {"all": {"raw": gap(0.1, 0.9)}})
    assert found["tone"] == "mixed"
    assert found["sentence"].startswith("This test is too easy to tell a difference")
    hits = {"stepwell": np.ones(200, bool), "raw": np.arange(200) > 0}
    roles = {"stepwell": "ours", "raw": "control"}
    rows = [row(name, role, 100 * hits[name].mean()) for name, role in roles.items()]
    found = unlabelled_verdict(rows, hits, 5, 20, test=" in harder views (zoom)")
    assert "too easy" in found["sentence"]
    assert "in harder views (zoom)" in found["sentence"]


def test_the_head_that_finetune_fits_is_in_the_headline():
    head = [{"labels": "all", "value": 90.0}, {"labels": 5, "value": 70.0}]
    found = labelled_verdict(LABELLED, {"all": {"whitening only": gap(1, 9)}}, head)
    assert "fits: 90.0 % with all labels, 70.0 % with 5 labels a class." in found["sentence"]


def gap(low: float, high: float) -> dict[str, float]:
    return {"value": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize(
    ("ours", "theirs", "above", "noise", "tone", "words"),
    [
        (
            0.9,
            0.1,
            12,
            None,
            "good",
            "90.0 % of views find their own example, against 10.0",
        ),
        (0.5, 0.5, 12, None, "mixed", "raw finds as many"),
        (0.1, 0.9, 12, None, "bad", "Raw does better"),
        (0.9, 0.1, 0, None, "bad", "It learned nothing"),
        (0.9, 0.1, 12, 0.6, "bad", "look like noise"),
    ],
)
def test_the_unlabelled_verdict(ours, theirs, above, noise, tone, words):
    place = np.arange(200) / 200
    hits = {"stepwell": place < ours, "raw": place[::-1] < theirs, "low": place < 0}
    roles = {"stepwell": "ours", "raw": "control", "low": "control"}
    rows = [row(name, role, 100 * hits[name].mean()) for name, role in roles.items()]
    found = unlabelled_verdict(rows, hits, above, 20, noise)
    assert found["tone"] == tone
    assert words in found["sentence"]
    assert found["details"][0].startswith(f"{above} of 20 dimensions")


@pytest.mark.parametrize("n", [1, 2, 4, 5, 12])
def test_a_map_of_few_points(n):
    z = np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32)
    x, y = spread_map(z)
    for axis in (x, y):
        assert axis.shape == (n,)
        assert axis.min() >= 0
        assert axis.max() <= 1


def test_a_map_keeps_neighbours_together():
    rng = np.random.default_rng(0)
    centre = np.repeat(np.eye(3) * 9, 20, axis=0)
    x, y = spread_map((centre + rng.normal(size=centre.shape) * 0.1).astype(np.float32))
    flat = np.stack([x, y], 1)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2) + 9 * np.eye(60)
    np.testing.assert_array_equal(distance.argmin(1) // 20, np.arange(60) // 20)
