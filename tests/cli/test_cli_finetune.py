"""Few labels, and what they tell of new data."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from helpers import write_digits
from sklearn.datasets import load_digits

import stepwell

GOOD = "fine lovely moving funny clever warm".split()  # noqa: SIM905
BAD = "dull awful boring silly clumsy cold".split()  # noqa: SIM905


def review(rng):
    good = rng.random() < 0.5
    words = rng.choice(GOOD if good else BAD, 2, replace=False)
    thing = rng.choice(["film", "story", "movie", "play"])
    return f"a {words[0]} and {words[1]} {thing}", "good" if good else "bad"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("reviews"), np.random.default_rng(0)
    for name, count in (("all.tsv", 400), ("few.tsv", 24), ("new.tsv", 60)):
        rows = [review(rng) for _ in range(count)]
        lines = [f"{text}\t{label}" for text, label in rows]
        (folder / name).write_text("sentence\tlabel\n" + "\n".join(lines) + "\n")
    stepwell.learn(folder / "all.tsv", folder / "run", report=False)
    return folder


def test_few_labels_tell_others_and_which_words_did(call, reviews, tmp_path, monkeypatch):
    run = reviews / "run"
    early = call("predict", run, reviews / "new.tsv")
    assert early.code == 2
    assert "Expected a run that was fine-tuned" in early.err
    said = call("finetune", run, "--labels", reviews / "few.tsv")
    assert said.code == 0, said.err
    assert "24 labelled examples, 2 classes" in said.out
    assert said.out.count("taken") == 1
    out = tmp_path / "told.csv"
    said = call("predict", run, reviews / "new.tsv", "--out", out, "--why")
    assert said.code == 0, said.err
    with open(out, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truth = [line.split("\t")[1] for line in (reviews / "new.tsv").read_text().splitlines()[1:]]
    right = np.array([row["label"] for row in rows]) == truth
    assert right.mean() > 0.85
    spoke = [row["words"].split() for row, sure in zip(rows, right, strict=True) if sure]
    assert np.mean([bool(set(words) & {*GOOD, *BAD}) for words in spoke]) > 0.6
    assert "found a file at" in call("predict", run, reviews / "new.tsv", "--out", out).err
    assert call("predict", run, reviews / "new.tsv", "--out", tmp_path / "x.txt").code == 2
    one = json.loads(call("predict", run, "a lovely and warm story", "--why", "--json").out)[0]
    assert one["label"] == "good"
    assert {word for word, _ in one["words"]} & {"lovely", "warm"}
    assert sum(one["shares"].values()) == pytest.approx(1)
    single = call("predict", run, "awful", "--json")
    assert json.loads(single.out)[0]["label"] == "bad"
    assert "it is taken as a text" in single.err
    monkeypatch.setattr("sys.stdin", io.StringIO("a lovely film\n\nawful\n"))
    piped = json.loads(call("predict", run, "-", "--json").out)
    assert [row["label"] for row in piped] == ["good", None, "bad"]
    assert [row["id"] for row in piped] == ["line=1", "line=2", "line=3"]
    assert [row["text"] for row in piped] == ["a lovely film", "", "awful"]
    monkeypatch.setattr("sys.stdin", io.StringIO("a lovely film\n\nawful\n"))
    said = call("predict", run, "-")
    assert "line=1  a lovely film" in said.out
    assert "line=2  (an empty line)" in said.out
    monkeypatch.setattr("sys.stdin", io.StringIO("a lovely film\n\nawful\n"))
    assert call("predict", run, "-", "--out", tmp_path / "piped.csv").code == 0
    with open(tmp_path / "piped.csv", newline="", encoding="utf-8") as file:
        kept = list(csv.DictReader(file))
    assert [(row["file"], row["label"], row["text"]) for row in kept] == [
        ("line=1", "good", "a lovely film"),
        ("line=2", "", ""),
        ("line=3", "bad", "awful"),
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert "that are piped, found none" in call("predict", run, "-").err
    for wrong in ("nwe.parquet", "nwe reviews.txt", "data\\new", "none/of"):
        assert "found nothing at" in call("predict", run, wrong).err
    assert call("embed", run, "reviews", "--out", tmp_path / "e.npy").code == 2
    assert call("embed", run, "a warm film", "--out", tmp_path / "e.npy").code == 0
    (nothing,) = stepwell.load(run).predict("漢字 です")
    assert nothing["probability"] < 0.7  # no word of it is known
    assert call("predict", run, "a fine film " * 200).code == 0  # longer than a name can be
    assert call("predict", run, "nwe.tsv").code == 2
    assert "more: add --out" in call("predict", run, reviews / "new.tsv").out


def test_labels_that_are_none(call, reviews):
    (reviews / "one.tsv").write_text("sentence\tlabel\na fine film\tgood\na warm film\tgood\n")
    said = call("finetune", reviews / "run", "--labels", reviews / "one.tsv")
    assert said.code == 2
    assert "two classes or more, found 2 of one, 'good'" in said.err
    assert call("finetune", reviews / "run", "--labels", reviews / "nowhere.tsv").code == 2
    rows = "".join(f"a fine film of {i}\tclass {i}\n" for i in range(40))
    (reviews / "own.tsv").write_text(f"sentence\tlabel\n{rows}")
    said = call("evaluate", reviews / "run", "--labels", reviews / "own.tsv")
    assert said.code == 2
    assert "of classes that others have too" in said.err
    (reviews / "mood.tsv").write_text("sentence\tmood\na fine film\tgood\na dull film\tbad\n")
    said = call("finetune", reviews / "run", "--labels", reviews / "mood.tsv")
    assert "found no column called label, labels, class" in said.err


def test_images_are_told_apart_too(tmp_path):
    write_digits(tmp_path / "known", 200)
    digits = load_digits()
    run = stepwell.learn(tmp_path / "known", tmp_path / "run", preset="fast", report=False)
    found = run.finetune(tmp_path / "known")
    assert len(found["classes"]) == 10
    new = write_digits(tmp_path / "new", 60, first=200)
    rows = run.predict(new)
    truth = [row["id"].split("/")[-2] for row in rows]
    assert np.mean([row["label"] == own for row, own in zip(rows, truth, strict=True)]) > 0.75
    names = {
        f"{digits.target[i]}/{i:04}.png": "even" if digits.target[i] % 2 == 0 else "odd"
        for i in range(200)
    }
    found = run.finetune({f"train/{name}": label for name, label in names.items()})
    assert found["classes"] == ["even", "odd"]  # another head takes its place
    assert {row["label"] for row in run.predict(new)} == {"even", "odd"}
    assert not [path for path in (run.path / "parts").iterdir() if path.name.startswith(".")]
