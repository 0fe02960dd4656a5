"""Rates that are searched for without labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

import stepwell
from stepwell.interfaces import UsageError

pytest.importorskip("torch", reason="torch is an optional part")
pytest.importorskip("lightning_fabric")
pytest.importorskip("optuna")

TOLD = {"samples": 640, "batch": 32, "device": "cpu", "shuffled": False}


def learned(digits, out, **told):
    return stepwell.learn(
        digits,
        out,
        engine="gradient",
        backbone="helpers:tiny_net",
        train={**TOLD, **told},
        preset="fast",
        report=False,
    )


def test_short_trainings_are_compared_and_the_best_is_taken(digits, tmp_path):
    seen = []
    run = stepwell.learn(
        digits,
        tmp_path / "run",
        engine="gradient",
        backbone="helpers:tiny_net",
        train={**TOLD, "trials": 5},
        preset="fast",
        report=False,
        observe=lambda event, facts: seen.append((event, dict(facts))),
    )
    rows = run.config["train"]["searched"]
    assert len(rows) == 5
    (best,) = [row for row in rows if row["chosen"]]
    assert best["score"] == max(row["score"] for row in rows if not row["pruned"])
    for name in ("rate", "decay", "warmup"):
        assert run.config["train"][name] == pytest.approx(best[name])
    assert rows[0]["decay"] == 0.05  # what is usual is tried too
    assert len({row["rate"] for row in rows}) == 5
    told = [facts for event, facts in seen if event == "search"]
    assert told[-1]["of"] == 5
    assert "short trainings" in " ".join(run.phases[2]["evidence"])
    json.dumps(rows)


def test_what_was_asked_for_is_not_searched_and_nothing_is_trained_on_before(digits, tmp_path):
    run = learned(digits, tmp_path / "one", trials=2, rate=1e-3)
    assert run.config["train"]["rate"] == 1e-3
    plan = {name: run.config["train"][name] for name in ("decay", "warmup")}
    again = learned(digits, tmp_path / "two", rate=1e-3, **plan)
    # Trials leave no trace: the same plan gives the same weights without them.
    assert np.array_equal(run.embed(digits / "train"), again.embed(digits / "train"))


def test_a_number_that_makes_no_sense_is_refused(digits, tmp_path):
    with pytest.raises(UsageError, match="0 trials or more, found -1"):
        learned(digits, tmp_path / "run", trials=-1)
