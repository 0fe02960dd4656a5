"""``stepwell steps`` and ``stepwell theory``, as a user types them."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
from helpers import photo_windows
from sklearn.datasets import load_digits

import stepwell
from stepwell.kit.files import lock, lock_of
from stepwell.staircase.explain import correlations
from stepwell.staircase.records import record_of
from stepwell.staircase.statistics import STATISTICS
from stepwell.stepping import Sight


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    """A run on digits with the real encoder."""
    out = tmp_path_factory.mktemp("staircase") / "run"
    stepwell.learn(digits, out, preset="fast", report=False)
    return out


def write_log(path, count, seed=0):
    """A trained run's records: two dimensions come, one after the other."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((64, 2))
    with open(path, "w", encoding="utf-8") as log:
        for i, time_ in enumerate(np.geomspace(1, 1e4, 240)[:count]):
            sizes = 1 / np.sqrt(1 + np.exp(np.clip(14 - np.array([0.2, 0.01]) * time_, -30, 30)))
            facts = record_of("samples", float(time_), z * sizes, z * sizes)
            log.write(json.dumps({"t": i / 10, "event": "spectrum", **facts}) + "\n")


def test_both_orders_are_logged_and_told_apart(call, run):
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    for clock in ("gradient", "whitened"):
        mine = [line for line in lines if line.get("clock") == clock]
        assert len(mine) >= 200
        assert mine[0]["cross"] == sorted(mine[0]["cross"], reverse=True)
    said = call("steps", run)
    assert said.code == 0, said.err
    assert "Plain gradient descent on the run's features (γ of Γ)" in said.out
    assert "On whitened features, the run's own dimensions (λ of Γ̃)" in said.out


def test_steps_as_json(call, run):
    said = call("steps", run, "--json")
    rows = json.loads(said.out)
    assert {row["clock"] for row in rows} == {"gradient", "whitened"}
    first = next(row for row in rows if row["clock"] == "gradient")
    assert len(first["low"]) == len(first["high"]) == 3
    assert np.shape(first["where"]) == (4, 4)
    assert first["step"] == 1
    assert {"dimension", "time", "size", "confidence", "sees", "blind_to"} <= set(first)
    assert 0.5 < first["time"] < 2  # the first step is the unit of time
    gradient = [row["time"] for row in rows if row["clock"] == "gradient"]
    assert gradient == sorted(gradient)


def test_steps_of_an_array_are_explained_in_python(tmp_path):
    images = (load_digits().images[:60] * 15).astype(np.uint8)
    rows = stepwell.learn(images, tmp_path / "run", preset="fast", report=False).steps()
    assert all("sees" in row for row in rows)
    assert any(row["sees"] for row in rows)
    own = [row["own_r"] for row in rows if row["clock"] == "gradient"]
    assert all(0 <= r <= 1.001 for r in own)


def test_a_run_names_what_was_planted_in_its_data(tmp_path):
    """Brightness, added by a random amount: the step that carries it says so."""
    images, amount = photo_windows(160).astype(float), np.random.default_rng(0).uniform(0, 1, 160)
    images = images * 0.5 + 120 * amount[:, None, None, None]
    out = tmp_path / "run"
    run = stepwell.learn(
        images.astype(np.uint8), out, preset="fast", views="shift noise", report=False
    )
    rows = [row for row in run.steps() if row["clock"] == "whitened"]
    z = Sight(run, next(iter(run.own_source().batches(160)))).values("whitened")
    carries = int(np.abs(correlations(amount[:, None], z)).argmax())
    row = next(row for row in rows if row["dimension"] == carries + 1)
    assert "brightness" in row["sees"]


def test_another_kind_of_data_brings_statistics_of_its_own(tmp_path, monkeypatch, run):
    monkeypatch.setitem(STATISTICS, "image", lambda batch: {"always": np.arange(len(batch.ids))})
    assert all(row["sees"] in ("", "always") or "always" in row["sees"] for row in run_of(run))


def run_of(path):
    return stepwell.load(path).steps()


def test_steps_tell_what_they_know_of_labels(call, run, digits):
    said = call("steps", run, "--labels", digits / "train", "--json")
    rows = json.loads(said.out)
    assert all(0 <= row["bits"] <= np.log2(10) for row in rows)
    assert max(row["bits"] for row in rows) > 0.2
    assert "bits" in call("steps", run, "--labels", digits / "train").out


def test_steps_without_the_data_are_told_without_words(call, run, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    config = (moved / "config.toml").read_text()
    (moved / "config.toml").write_text(re.sub(r'path = ".*"', 'path = "/gone"', config, count=1))
    rows = json.loads(call("steps", moved, "--json").out)
    assert rows
    assert not any("sees" in row for row in rows)


def test_steps_of_a_log_alone(call, tmp_path):
    write_log(tmp_path / "steps.jsonl", 240)
    rows = json.loads(call("steps", tmp_path, "--json").out)
    assert [row["dimension"] for row in rows] == [1, 2]
    assert [row["time"] for row in rows] == pytest.approx([70, 1400], rel=0.05)
    assert call("steps", tmp_path / "steps.jsonl").code == 0


def test_following_a_run_as_it_goes(call, tmp_path):
    folder = tmp_path / ".run.0123abcd.partial"  # as a run is called while it is learned
    folder.mkdir()
    write_log(folder / "steps.jsonl", 150)
    learning = ExitStack()
    learning.enter_context(lock(lock_of(tmp_path / "run"), "run"))
    other_run = tmp_path / ".run.b.0123abcd.partial"
    other_run.mkdir()
    (other_run / "steps.jsonl").write_text("")

    def goes_on():
        time.sleep(1.5)
        write_log(folder / "steps.jsonl", 240)
        time.sleep(1.5)
        folder.rename(tmp_path / "run")
        learning.close()

    other = threading.Thread(target=goes_on)
    other.start()
    said = call("steps", tmp_path / "run", "--follow")
    other.join()
    assert "step 1: dimension 1 at" in said.out
    assert re.search(r"next step ≈ [\d,]+ ± [\d,]+ samples \(≈ [\d,]+ s\)", said.out)
    assert "step 2: dimension 2 at" in said.out
    assert "It has ended" in said.out


def test_following_a_run_that_was_killed_ends(call, tmp_path):
    folder = tmp_path / ".run.0123abcd.partial"
    folder.mkdir()
    write_log(folder / "steps.jsonl", 150)
    lock_of(tmp_path / "run").write_text("4711")  # as kill -9 leaves it: nobody holds it
    said = call("steps", tmp_path / "run", "--follow")
    assert said.code == 0
    assert "It has ended" in said.out


def test_a_log_without_spectra_is_said_to_be_one(call, tmp_path):
    (tmp_path / "steps.jsonl").write_text('{"t": 0, "event": "list"}\n')
    for words in (["steps", tmp_path], ["steps", tmp_path, "--follow"]):
        said = call(*words)
        assert said.code == 1
        assert "stopped before any was written" in said.err


def test_what_a_killed_learn_left_hides_no_finished_run(call, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / ".run.0123abcd.partial").mkdir()
    (tmp_path / ".run.0123abcd.partial" / "steps.jsonl").write_text("")
    (tmp_path / ".run.lock").write_text("4711")
    said = call("steps", tmp_path / "run", "--follow")
    assert said.code == 0
    assert "Plain gradient descent" in said.out
    (tmp_path / ".run.0123abcd.partial" / "config.toml").write_text("format = 1")
    assert [row["run"] for row in json.loads(call("status", tmp_path, "--json").out)] == ["run"]


def test_steps_that_come_at_once_are_told_so(run):
    rows = [row for row in run_of(run) if row["clock"] == "whitened"]
    together = [row for row in rows if row["label"] == rows[0]["label"]]
    assert len(together) > 1  # λ of digits are close together
    assert rows[0]["label"] == f"1–{len(together)}"
    own = [row["dimension"] for row in together]
    assert own == sorted(own)


def test_labels_change_no_words(run, digits):
    plain, weighed = stepwell.load(run).steps(), stepwell.load(run).steps(digits / "train")
    assert [row.get("sees") for row in plain] == [row.get("sees") for row in weighed]


def test_no_run_is_an_error(call, tmp_path):
    for words in (["steps", tmp_path / "none"], ["steps", tmp_path]):
        said = call(*words)
        assert said.code == 2
        assert "Expected a run" in said.err


def test_theory_on_digits(call, tmp_path, digits):
    out = tmp_path / "theory"
    said = call("theory", digits, "--figures", "ae", "--out", out)
    assert said.code == 0, said.err
    assert re.search(r"\(a\) linear model +\d\.\d\d% +\d\.\d\d%", said.out)
    assert "(e) alignment" in said.out
    facts = json.loads((out / "theory.json").read_text())
    numbers = facts["figures"]["a"]
    assert numbers["median_error"] < 0.01
    assert numbers["final_loss"] == pytest.approx(numbers["final_loss_predicted"], abs=1e-3)
    page = (out / "theory.html").read_text(encoding="utf-8")
    assert "A linear model learns one dimension at a time" in page
    again = call("theory", digits, "--figures", "a", "--out", out)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert call("theory", digits, "--figures", "a", "--out", out, "--overwrite").code == 0


def test_theory_says_what_needs_torch(call, tmp_path, digits, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    out = tmp_path / "theory"
    said = call("theory", digits, "--figures", "ad", "--out", out)
    assert said.code == 0, said.err
    assert "Figure (d) was not drawn" in said.out
    assert "stepwell[torch]" in (out / "theory.html").read_text(encoding="utf-8")
    alone = call("theory", digits, "--figures", "d", "--out", tmp_path / "other")
    assert alone.code == 1
    assert "stepwell[torch]" in alone.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "said"), [(["--figures", "xyz"], "Expected letters"), (["--images", "5"], "40")]
)
def test_theory_refuses_what_makes_no_sense(call, tmp_path, digits, words, said):
    found = call("theory", digits, *words, "--out", tmp_path / "theory")
    assert found.code == 2
    assert said in found.err


def test_theory_of_images_that_are_too_small_is_an_error_not_a_wait(call, tmp_path):
    tiny = np.random.default_rng(0).integers(0, 256, (100, 2, 2), np.uint8)
    np.save(tmp_path / "tiny.npy", tiny)
    found = call("theory", tmp_path / "tiny.npy", "--figures", "a", "--out", tmp_path / "theory")
    assert found.code == 1
    assert "larger or more varied" in found.err


def test_theory_needs_images_that_differ(call, tmp_path):
    np.save(tmp_path / "same.npy", np.full((60, 8, 8), 7, np.uint8))
    found = call("theory", tmp_path / "same.npy", "--out", tmp_path / "theory")
    assert found.code in (1, 2)
    assert "alike" in found.err
    np.save(tmp_path / "few.npy", np.zeros((12, 8, 8), np.uint8))
    found = call("theory", tmp_path / "few.npy", "--out", tmp_path / "theory")
    assert found.code == 2
    assert "at least 40 images" in found.err
