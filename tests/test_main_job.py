"""The main job, as a user does it: digits without labels to an encoder, scores, a report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import write_digits

import stepwell
from stepwell.interfaces import StepwellError, UsageError
from stepwell.reporting import warnings
from stepwell.scoring import read_scores


@pytest.fixture(scope="module")
def run(photos_run):
    return stepwell.load(photos_run)


def label(id: str) -> str:
    return id.split("/")[1]


def test_it_learned_and_stands_beside_its_controls(run):
    scores = read_scores(run)
    assert scores["verdict"]["sentence"]
    retrieval = {row["role"]: row["value"] for row in scores["retrieval"]}
    assert {"ours", "control", "ladder"} <= set(retrieval)
    ours = next(r["value"] for r in scores["retrieval"] if r["role"] == "ours")
    shuffled = next(r["value"] for r in scores["retrieval"] if r["name"] == "shuffled pairs")
    assert ours > 60
    assert ours > shuffled
    final = {r["name"]: r["value"] for r in scores["labelled"] if r["labels"] == "all"}
    assert final["stepwell"] > 70
    assert final["stepwell"] > final["shuffled pairs"]


def test_neighbours_are_mostly_of_one_class(run):
    ids, _ = run.index
    same = [label(row["id"]) == label(str(i)) for i in ids for row in run.search(str(i), 4)[1:]]
    assert np.mean(same) > 0.6  # a tenth by chance


def test_embeddings_are_of_unit_length_and_those_of_the_index(run, digits):
    z = run.embed(digits)
    assert z.shape == (100, run.width)
    assert z.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(z, run.index[1].astype(np.float32), atol=2e-3)


def test_a_file_a_folder_and_an_array_give_the_same_vectors(run, digits, digit_batch):
    z = run.embed(digits)
    first = digits / str(run.index[0][0])
    np.testing.assert_allclose(run.embed(first)[0], z[0], atol=1e-5)
    np.testing.assert_allclose(run.embed(digit_batch.data["image"]), z, atol=1e-5)
    found = run.search(digit_batch.data["image"][7], 1)
    assert found[0]["id"] == run.index[0][7]


def test_loading_again_changes_nothing(run, digits):
    again = stepwell.load(run.path)
    np.testing.assert_array_equal(again.embed(digits), run.embed(digits))
    assert str(run.path) in repr(again)
    assert "100 examples" in repr(again)


def test_the_card_says_what_it_is_for_and_what_not(run):
    card = (run.path / "card.md").read_text("utf-8")
    assert "100 unlabelled examples" in card
    assert "**Limits.**" in card
    assert read_scores(run)["verdict"]["sentence"] in card


def test_the_configuration_repeats_the_run(run, digits):
    config = run.config
    assert config["source"]["path"] == str(digits)
    assert config["source"]["options"] == {"canvas": 8}
    assert config["learn"]["seed"] == 0
    assert config["data"] == {"examples": 100, "founders": 100, "distinct": 100, "skipped": 0}
    assert config["cost"]["seconds"] > 0
    assert {"stepwell", "numpy", "scipy"} <= set(config["versions"])


def test_the_page_shows_where_each_dimension_looks(run):
    page = (run.path / "report.html").read_text("utf-8")
    assert read_scores(run)["verdict"]["sentence"].split(":")[0] in page
    assert page.count("<img") > 100
    assert "stepwell search" in page


def test_scores_of_other_labels_are_kept_beside(run, digits, tmp_path):
    labels = {str(i): "even" if int(label(str(i))) % 2 == 0 else "odd" for i in run.index[0]}
    found = run.evaluate(labels)
    assert found["classes"] == 2
    assert json.loads((run.path / "scores.json").read_text("utf-8"))["classes"] == 2
    run.evaluate(digits)


def test_an_observer_hears_the_story_and_changes_nothing(digits, tmp_path, run):
    told = []
    twin = stepwell.learn(
        digits,
        tmp_path / "twin",
        preset="fast",
        report=False,
        observe=lambda event, facts: told.append((event, dict(facts))),
    )
    events = list(dict.fromkeys(event for event, _ in told))
    assert [e for e in events if e in ("list", "fit", "learn", "solve")] == [
        "list",
        "fit",
        "learn",
        "solve",
    ]
    done = [facts["done"] for event, facts in told if event == "learn"]
    assert done == sorted(done)
    assert done[-1] == 100
    np.testing.assert_array_equal(twin.index[1], run.index[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "fats"}, "found 'fats'"),
        ({"encoder": "patchs"}, "Did you mean 'patches'?"),
        ({"pretext": "two_view"}, "Did you mean 'two_views'?"),
        ({"views": "zom"}, "Did you mean 'zoom'?"),
        ({"founders_from": "nowhere"}, "Expected the directory of a run"),
    ],
)
def test_wrong_calls_say_what_was_expected(digits, tmp_path, options, words):
    with pytest.raises(UsageError) as caught:
        stepwell.learn(digits, tmp_path / "run", **{"preset": "fast"} | options)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_there(tmp_path, run):
    with pytest.raises(UsageError, match="found nothing at"):
        stepwell.load(tmp_path / "nothing")
    with pytest.raises(UsageError, match=f"Did you mean '{run.path.name}'"):
        stepwell.load(run.path.with_name(f"{run.path.name}s"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="found something else"):
        stepwell.load(tmp_path / "empty")
    with pytest.raises(StepwellError):
        run.search("nothing like it.png")


def test_new_data_of_the_same_kind(run, tmp_path):
    more = write_digits(tmp_path / "more", 20, first=500)
    z = run.embed(more)
    assert z.shape == (20, run.width)
    with pytest.raises(StepwellError, match="Expected"):
        run.embed(tmp_path / "nothing")


def test_noise_is_called_noise(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 24, 24, 3), np.uint8)
    run = stepwell.learn(noise, tmp_path / "noise", preset="fast", report=False)
    verdict = read_scores(run)["verdict"]
    assert verdict["tone"] == "bad"
    assert "look like noise" in verdict["sentence"]


@pytest.fixture
def few_founders(monkeypatch):
    """Sixty founders, and partners for half of 300 examples: the branches of large sources."""
    monkeypatch.setattr("stepwell.gathering.FOUNDERS", 60)
    monkeypatch.setattr("stepwell.pretexts.two_views.PAIRED", 150)


@pytest.mark.usefixtures("few_founders")
def test_more_examples_than_founders(tmp_path):
    src = write_digits(tmp_path / "src", 300)
    (src / "broken.png").write_bytes(b"no picture")
    run = stepwell.learn(src, tmp_path / "run", preset="fast", report=False)
    data = run.config["data"]
    assert (data["examples"], data["founders"], data["skipped"]) == (300, 60, 1)
    partners = run.config["learn"]["options"]["partners"]
    assert 0.4 < partners < 0.6
    assert run.part("moments").units == pytest.approx(300 * partners, abs=30)
    # A sibling knows no codes and reads all of it: the same sums, bit for bit.
    again = stepwell.learn(src, tmp_path / "again", founders_from=run, report=False)
    sums, same = run.part("moments").state()[1], again.part("moments").state()[1]
    for name in sums:
        np.testing.assert_array_equal(sums[name], same[name])
    np.testing.assert_array_equal(run.index[0], again.index[0])


@pytest.mark.usefixtures("few_founders")
def test_a_budget_leaves_examples_out(tmp_path, monkeypatch):
    src = write_digits(tmp_path / "src", 300)
    names = sorted(str(path.relative_to(src)) for path in src.rglob("*.png"))
    monkeypatch.setattr("stepwell.gathering.within", lambda *_: set(names[:120]))
    run = stepwell.learn(src, tmp_path / "run", preset="fast", budget=1e-3, report=False)
    assert sorted(run.index[0]) == names[:120]
    assert run.config["learn"]["share"] == pytest.approx(0.4)
    assert any("It took" in said for said in warnings(run.config))


def test_real_images_are_not_called_noise(run):
    assert "noise" not in read_scores(run)["verdict"]["sentence"]
    assert read_scores(run)["spread"] < run.encoder.noise_spread / 2


def test_a_run_of_an_array_draws_its_page_again(tmp_path, digit_batch):
    images = digit_batch.data["image"]
    run = stepwell.learn(images, tmp_path / "run", preset="fast")
    pictures = (tmp_path / "run" / "report.html").read_text().count("<img")
    assert pictures > 50
    run.report()
    assert (tmp_path / "run" / "report.html").read_text().count("<img") == pictures
    again = stepwell.load(tmp_path / "run")
    with pytest.raises(StepwellError, match=r"run\.report\(data\)"):
        again.report()
    with pytest.raises(StepwellError):
        again.report(tmp_path / "nothing here")
    again.report(images)
    assert (tmp_path / "run" / "report.html").read_text().count("<img") == pictures
