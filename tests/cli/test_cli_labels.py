"""What every verb says of labels that others wrote, and what it leaves out."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from helpers import write_digits

from stepwell.sources import open_source


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("pictures") / "train", 100)


@pytest.fixture
def run(call, data, tmp_path, tiny):
    assert call("learn", data, "--out", tmp_path / "run", "--no-report").code == 0
    return tmp_path / "run"


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "label"], *rows])
    return path


def rows_of(data):
    """(id, even or odd) of every digit."""
    names = [name for name, _ in open_source(data).entries()]
    return [(name, "even" if int(name.split("/")[-2]) % 2 == 0 else "odd") for name in names]


def test_every_verb_tells_what_of_a_table_it_left_out(call, run, data, tmp_path):
    rows = rows_of(data)
    messy = [(f"train/{name}", label) for name, label in rows[:60]]
    messy += [(f"test/{name}", "even") for name, _ in rows[60:70]]  # of the same names
    other = "odd" if rows[0][1] == "even" else "even"
    messy += [(rows[0][0].replace("/", "\\"), other), (f"./{rows[1][0]}", rows[1][1])]
    table = write(tmp_path / "l.csv", messy)
    said = [
        "10 rows name no example of this run (line 62: test/",
        f"none was believed: {rows[0][0]}: ",
        "(lines 2 and 72)",
        "1 row says the same again (line 73: ./",
    ]
    for verb in ("finetune", "evaluate", "suggest"):
        told = call(verb, run, "--labels", table)
        assert told.code == 0, told.err
        assert all(line in told.out + told.err for line in said)
        assert "file 'file', label 'label', delimiter 'comma'" in told.err
    for verb in ("finetune", "evaluate"):
        found = json.loads(call(verb, run, "--labels", table, "--json").out)
        assert found["unmatched"] == 10
        assert all(any(line in each for each in found["left_out"]) for line in said)
        assert found["read"]["label"] == "label"
    assert found["bank"] + found["test"] == 59
    told = call("suggest", run, "--labels", table, "--json")
    assert len(json.loads(told.out)) == 20
    assert said[0] in told.err
    whole = write(tmp_path / "whole.csv", rows)
    found = call("evaluate", run, "--labels", whole, "--test", table)
    assert f"test set: {said[0]}" in found.out
    again = tmp_path / "again"
    told = call("learn", data, "--out", again, "--labels", table, "--no-report")
    assert told.code == 0, told.err
    assert all(line in told.out for line in said)


def test_data_that_was_moved_is_told(call, run, data, tmp_path):
    rows = rows_of(data)
    table = write(tmp_path / "l.csv", [(f"/elsewhere/train/{id}", label) for id, label in rows])
    told = call("finetune", run, "--labels", table)
    assert told.code == 0, told.err
    assert "100 labelled examples" in told.out
    assert f"names begin with /elsewhere/train/, which was taken for {data}, moved" in told.out
    beside = data.parent / "other" / "train"  # of this machine: other pictures
    table = write(tmp_path / "o.csv", [(f"{beside}/{id}", label) for id, label in rows])
    for verb in ("finetune", "evaluate", "suggest"):
        told = call(verb, run, "--labels", table)
        assert told.code == 2
        assert f"All of them are in {beside}/" in told.err
        assert "take that off" in told.err


def test_suggestions_know_labels_of_the_data_itself_and_of_nothing_else(call, run, data, tmp_path):
    assert "all 100 have one" in call("suggest", run, "--labels", data).err
    others = write_digits(tmp_path / "train", 100)
    assert (
        "Expected labels of what the run was learned from"
        in call("suggest", run, "--labels", others).err
    )
    assert "found nothing there" in call("suggest", run, "--labels", tmp_path / "none").err


@pytest.mark.parametrize("name", ["nan", "None", "NA", "null"])
def test_words_are_classes_in_every_verb(call, run, data, tmp_path, name):
    rows = [(id, name if label == "odd" else label) for id, label in rows_of(data)]
    table = write(tmp_path / "l.csv", [*rows[:-1], (rows[-1][0], "")])
    told = call("finetune", run, "--labels", table)
    assert "99 labelled examples, 2 classes" in told.out
    assert f"classes called {name!r} (" in told.out
    assert "1 row has no label yet" in told.out
    found = json.loads(call("evaluate", run, "--labels", table, "--json").out)
    assert found["classes"] == 2
    rows = call("predict", run, data, "--out", tmp_path / "p.csv")
    assert rows.code == 0
    with open(tmp_path / "p.csv", newline="", encoding="utf-8") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {name, "even"}
    assert call("finetune", run, "--labels", tmp_path / "p.csv").code == 0


@pytest.mark.parametrize("kind", ["parquet", "arrow", "jsonl", "csv", "npz", "numbers"])
def test_missing_is_what_is_typed_so_wherever_it_is_kept(tmp_path, kind):
    labels = ["nan", None, "NA", "", "None", "x"]
    texts = [f"some words of text number {i}" for i in range(6)]
    path, kept = tmp_path / f"t.{kind}", {0: "nan", 2: "NA", 4: "None", 5: "x"}
    if kind in ("parquet", "arrow"):
        table = pa.table({"text": texts, "label": pa.array(labels)})
        if kind == "parquet":
            parquet.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
                out.write_table(table)
    elif kind == "jsonl":
        lines = [
            json.dumps({"text": t, "label": label}) for t, label in zip(texts, labels, strict=True)
        ]
        path.write_text("\n".join([*lines, '{"text": "one more text", "label": NaN}']))
    elif kind == "csv":
        lines = [f"{t},{label or ''}" for t, label in zip(texts, labels, strict=True)]
        path.write_text("\n".join(["text,label", *lines]))
    elif kind == "npz":
        words = np.array([label or "" for label in labels])
        np.savez(path, images=np.zeros((6, 8, 8), np.uint8), labels=words)
    else:
        path, kept = tmp_path / "t.parquet", {0: "1.5", 2: "0.5"}
        numbers = pa.array([1.5, float("nan"), 0.5, None, None, None])
        parquet.write_table(pa.table({"text": texts, "label": numbers}), path)
    found = open_source(path, **({"label": "label"} if kind == "numbers" else {})).labels()
    assert [label for _, label in sorted(found.items())] == list(kept.values())
