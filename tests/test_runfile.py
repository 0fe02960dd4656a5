"""What a run tells of itself: damaged or changed, it is refused in words, with no traceback."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import tomli_w
from safetensors.numpy import load_file, save_file

import stepwell
from stepwell.interfaces import StepwellError
from stepwell.runfile import computed
from stepwell.scoring import read_scores
from stepwell.timeline import clocks_of


@pytest.fixture
def run(photos_run, tmp_path):
    """A copy that may be damaged."""
    shutil.copytree(photos_run, tmp_path / "run")
    return tmp_path / "run"


def changed(path, change):
    """A part's arrays after ``change(arrays)``."""
    arrays = load_file(path / "arrays.safetensors")
    change(arrays)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path / "arrays.safetensors")


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("choice", {"k": 10**12}),
        ("choice", {"k": 0}),
        ("choice", {"k": "8"}),
        ("choice", {"tried": 3}),
        ("learn", {"chunk": 10**9}),
        ("learn", {"share": "all"}),
        ("learn", {"options": {"recipe": [1]}}),
        ("source", {"options": {"canvas": 10**9}}),
        ("source", {"options": {"canvas": -1}}),
        ("source", {"options": 7}),
        ("source", {"path": 5}),
        ("data", {"examples": -1}),
        ("data", {"examples": 1.5}),
        ("cost", {"seconds": "long"}),
        ("train", {"backbone": "resnet18"}),
        ("train", {"objective": "simclr", "samples": "many", "steps": 1}),
        ("versions", {"stepwell": 7}),
    ],
)
def test_a_configuration_that_nobody_wrote_is_refused(run, call, section, change):
    told = tomllib.loads((run / "config.toml").read_text("utf-8"))
    told[section] = told.get(section, {}) | change
    (run / "config.toml").write_text(tomli_w.dumps(told), "utf-8")
    with pytest.raises(StepwellError, match=r"config\.toml damaged"):
        stepwell.load(run)
    said = call("status", run)
    assert said.code == 0  # it says what is wrong with it
    assert "damaged" in said.out


@pytest.mark.parametrize(
    "scores",
    [
        [],
        3,
        {"verdict": 3},
        {"verdict": {"sentence": None}},
        {"retrieval": {}},
        {"retrieval": [{"value": 3}]},
        {"labelled": [3]},
        {"bits": [1]},
        {"weight": "half"},
        {"modes_above_noise": "many"},
        {"test": [1]},
    ],
)
def test_scores_that_nobody_wrote_are_refused(run, call, scores):
    (run / "scores.json").write_text(json.dumps(scores), "utf-8")
    with pytest.raises(StepwellError, match=r"scores\.json damaged"):
        read_scores(stepwell.load(run))
    assert "damaged" in call("status", run).out
    assert "Expected a whole run" in call("status", run.parent).out  # one hides no others


@pytest.mark.parametrize(
    "line",
    [
        {"time": "soon"},
        {"clock": "other"},
        {"clock": ["gradient"]},
        {"cross": "many"},
        {"cross": [[1], 2]},
        {"cross": []},
        {"modes": [0]},
        {"modes": ["x"]},
        {"time": -1},
        {"time": float("nan")},
    ],
)
def test_records_that_nobody_wrote_are_refused(run, line):
    path = run / "steps.jsonl"
    lines = path.read_text("utf-8").splitlines()
    (last,) = [i for i, text in enumerate(lines) if '"spectrum"' in text][-1:]
    lines[last] = json.dumps(json.loads(lines[last]) | line)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(StepwellError, match="Expected"):
        clocks_of(stepwell.load(run))


@pytest.mark.parametrize("answers", [3, {}, ["a"], [{"asked": 1, "answer": "", "wanted": ""}]])
def test_answers_that_nobody_gave_are_refused(run, answers):
    (run / "answers.json").write_text(json.dumps(answers), "utf-8")
    with pytest.raises(StepwellError, match=r"answers\.json damaged"):
        stepwell.load(run).answers  # noqa: B018


@pytest.mark.parametrize("name", ["map", "whitening", "shuffled", "gradient", "moments"])
def test_parts_of_another_width_are_told(run, name):
    part = run / "parts" / name
    opened = stepwell.load(run)
    if name == "moments":
        told = {"kind": "moments", "settings": {"width": 3, "units": {}}}
        (part / "part.toml").write_text(tomli_w.dumps(told), "utf-8")
        changed(part, lambda arrays: arrays.clear())
    else:
        rows = {"mean", "mu", "vectors", "broad"}
        changed(part, lambda a: a.update({n: v[:-1] for n, v in a.items() if n in rows}))
    with pytest.raises(StepwellError, match="fit each other"):
        opened.part(name)


def test_an_index_of_other_rows_is_told(run):
    path = run / "embeddings.parquet"
    table = parquet.read_table(path)
    for wrong in (
        table.drop_columns(["id"]),
        table.slice(0, 0),
        table.set_column(0, "id", pa.array(range(len(table)))),
        table.set_column(1, "embedding", pa.array([[1.0]] * len(table))),
        table.set_column(1, "embedding", pa.nulls(len(table), table["embedding"].type)),
    ):
        parquet.write_table(wrong, path)
        with pytest.raises(StepwellError, match=r"embeddings\.parquet damaged"):
            stepwell.load(run).index  # noqa: B018


def test_a_head_that_reads_something_else_is_told(run):
    opened = stepwell.load(run)
    source = opened.own_source()
    opened.finetune(source)
    part = run / "parts" / "tuned" / "head"
    told = tomllib.loads((part / "part.toml").read_text("utf-8"))
    for reads in (["x"], [*told["settings"]["reads"] * 2]):
        wrong = told | {"settings": told["settings"] | {"reads": reads}}
        (part / "part.toml").write_text(tomli_w.dumps(wrong), "utf-8")
        with pytest.raises(StepwellError, match="a head that fits its run"):
            stepwell.load(run).predict(source)


def test_what_a_part_fails_with_is_told(tmp_path):
    for how in (IndexError("x"), MemoryError(), RuntimeError("y"), ZeroDivisionError()):
        with pytest.raises(StepwellError, match=type(how).__name__), computed(tmp_path):
            raise how
    with pytest.raises(KeyboardInterrupt), computed(tmp_path):
        raise KeyboardInterrupt


def test_features_that_are_no_numbers_are_told(run):
    opened = stepwell.load(run)
    embed = opened.encoder.embed
    source = opened.own_source()
    for wrong in (lambda z: z * np.nan, lambda z: z[:, :-1], lambda z: z[:-1]):
        opened.encoder.embed = lambda batch, wrong=wrong: wrong(embed(batch))
        with pytest.raises(StepwellError, match="Expected features"):
            opened.embed(source)
