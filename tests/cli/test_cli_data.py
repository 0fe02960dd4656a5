"""What was asked for of data holds for every verb; what was chosen and left out is told."""

from __future__ import annotations

import csv
import json

import pytest

import stepwell

WORDS = "warm quiet story friends dull plot end sight old told well surprise sadly".split()  # noqa: SIM905
TEXTS = [" ".join(WORDS[(i * k + i // 7) % 13] for k in range(3, 11)) for i in range(60)]


@pytest.fixture
def odd(tmp_path):
    """A table that is only read right with what the user says."""
    path = tmp_path / "odd.csv"
    rows = [[f"größer {text}", "ab"[i % 2]] for i, text in enumerate(TEXTS)]
    text = "\n".join(["name;kind", *map(";".join, rows)])
    path.write_bytes(text.encode("latin-1"))
    return path


OPTIONS = ("-o", "column=name", "-o", "label=kind", "-o", "encoding=latin-1")


def test_what_is_asked_for_holds_for_all_verbs_on_the_same_data(call, odd, tmp_path):
    out = tmp_path / "run"
    said = call("learn", odd, *OPTIONS, "--out", out, "--labels", odd, "--no-report")
    assert said.code == 0, said.err
    assert "read    encoding   iso8859-1 (as asked)" in said.out
    assert "read    column     name (as asked)" in said.out
    run = stepwell.load(out)
    assert run.config["source"]["read"]["decisions"][1]["value"] == "name"
    for words in (
        ("finetune", out, "--labels", odd),
        ("predict", out, odd),
        ("evaluate", out, "--labels", odd),
        ("embed", out, odd, "--out", tmp_path / "e.npy"),
        ("report", out),
    ):
        said = call(*words)
        assert said.code == 0, said.err
    assert set(json.loads(call("finetune", out, "--labels", odd, "--json").out)["classes"]) == {
        *"ab"
    }


def test_everything_left_out_is_told(call, tmp_path):
    rows = [[text, "ab"[i % 2]] for i, text in enumerate(TEXTS)]
    path = tmp_path / "t" / "train.csv"
    path.parent.mkdir()
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *rows[:30], ["", "a"], *rows[30:]])
    with open(path, "a", encoding="utf-8") as file:
        file.write('"never closed,a\n')
    (tmp_path / "t" / "test.csv").write_text(path.read_text())
    (tmp_path / "t" / "logo.bin").write_bytes(b"\0\1")
    said = call("learn", tmp_path / "t", "--out", tmp_path / "run", "--no-report", "--json")
    told = json.loads(said.out)
    assert told["source"]["passed_over"] == {".bin, no text": 1, "of another split": 1}
    assert told["source"]["set_aside"] == {
        "no text": 1,
        "a quotation mark is opened and never closed": 1,
    }
    assert [row["reason"] for row in told["set_aside"]] == [
        "no text",
        "a quotation mark is opened and never closed (line 63)",
    ]
    said = call("learn", tmp_path / "t", "--dry-run")
    assert "split      train (of several tables)" in said.out
    assert "passed over  2 files" in said.out
    assert json.loads(call("learn", tmp_path / "t", "--dry-run", "--json").out)["read"]["decisions"]
    run = tmp_path / "run"
    assert call("finetune", run, "--labels", tmp_path / "t").code == 0
    rows = json.loads(call("predict", run, path, "--json").out)
    assert sum(row["label"] is None for row in rows) == 2
    assert all("not read" in row["abstain"] for row in rows if row["label"] is None)
    said = call("embed", run, path, "--out", tmp_path / "e.npy")
    assert "read    set aside" in said.err
    told = json.loads(call("embed", run, path, "--out", tmp_path / "f.npy", "--json").out)
    assert sum(told["source"]["set_aside"].values()) == len(told["skipped"]) == 2


@pytest.mark.parametrize("as_json", [True, False])
def test_a_dry_run_says_what_is_read_even_where_it_can_not_be_learned(call, tmp_path, as_json):
    rows = [f"Widget{i},{i}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["name,price", *rows]))
    words = ("learn", tmp_path / "t.csv", "-o", "column=name", "--dry-run")
    said = call(*words, "--json") if as_json else call(*words)
    assert said.code == 1
    if as_json:
        told = json.loads(said.out)
        assert told["found"] == 30
        assert "words come again" in told["refused"]
    else:
        assert "found  30" in said.out
        assert "words come again" in said.err
