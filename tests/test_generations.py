"""A run that is replaced while it is read; what is not its own; what a kill leaves."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import stepwell
from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.files import lock, lock_of
from stepwell.kit.folders import recover

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def run(digits, tmp_path):
    return stepwell.learn(digits, tmp_path / "runs" / "a", report=False)


def again(run, digits, seed=4):
    return stepwell.learn(digits, run.path, report=False, seed=seed, overwrite=True)


def hidden(run):
    return sorted(p.name for p in run.path.parent.rglob(".*"))


def test_a_run_that_was_replaced_is_not_mixed_with_the_new_one(run, digits):
    opened = stepwell.load(run.path)
    opened.encoder  # noqa: B018 - of the old one
    new = again(run, digits)
    for read in (lambda: opened.embed(digits), lambda: opened.index, lambda: opened.part("map")):
        with pytest.raises(StepwellError, match="another has taken its place: load it again"):
            read()
    assert len(stepwell.load(run.path).embed(digits)) == 100
    assert new.config["learn"]["seed"] == 4
    assert hidden(run) == []


def test_a_head_that_was_replaced_is_not_mixed_with_the_new_one(run, digits):
    run.finetune(digits)
    opened = stepwell.load(run.path)
    assert opened.predict(digits)
    stepwell.load(run.path).finetune(digits)
    with pytest.raises(StepwellError, match="load the run again"):
        opened.predict(digits)
    assert stepwell.load(run.path).predict(digits)


@pytest.mark.parametrize("ends", ["old", "new", "both"])
def test_a_reader_brings_back_what_a_kill_between_two_renames_left(
    call, run, digits, tmp_path, ends
):
    before = run.embed(digits)
    moved = {e: run.path.with_name(f".a.0123abcd.{e}") for e in ("old", "new")}
    if ends == "both":  # the new one was whole
        shutil.copytree(run.path, tmp_path / "old")
        before = again(run, digits).embed(digits)
        os.rename(run.path, moved["new"])
        os.rename(tmp_path / "old", moved["old"])
    else:
        os.rename(run.path, moved[ends])
    said = call("status", run.path)
    assert "brought back" in said.err
    np.testing.assert_array_equal(stepwell.load(run.path).embed(digits), before)
    assert hidden(run) == []


def test_a_head_comes_back_too(run, digits):
    run.finetune(digits)
    tuned = run.path / "parts" / "tuned"
    os.rename(tuned, tuned.with_name(".tuned.0123abcd.old"))
    assert stepwell.load(run.path).predict(digits)
    assert hidden(run) == []


def test_what_a_living_process_makes_is_left_alone(run):
    scratch = run.path.with_name(".a.0123abcd.partial")
    scratch.mkdir()
    with lock(lock_of(run.path), "it"):
        assert recover(run.path) == ""
        assert scratch.is_dir()
    assert "tidied" in recover(run.path)
    assert hidden(run) == []


@pytest.mark.parametrize("name", ["notes.txt", "labels/mine.csv", "parts/mine/thesis.txt"])
def test_what_is_not_a_runs_own_is_not_removed_with_it(run, digits, name):
    (run.path / name).parent.mkdir(parents=True, exist_ok=True)
    (run.path / name).write_text("years of work")
    with pytest.raises(UsageError, match="a run and nothing else"):
        again(run, digits)
    assert (run.path / name).read_text() == "years of work"


def test_a_link_to_a_run_stays_one(run, digits, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(run.path)
    stepwell.learn(digits, link, report=False, seed=4, overwrite=True)
    assert link.is_symlink()
    assert stepwell.load(link).config["learn"]["seed"] == 4
