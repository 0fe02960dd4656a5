"""Texts by the same verbs as images."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

import stepwell
from stepwell.contestants import Contestants
from stepwell.encoders import PretrainedEncoder
from stepwell.evaluate.probe import few_labels
from stepwell.generating import counts_of
from stepwell.interfaces import concatenate
from stepwell.sources import open_source

SST = Path(__file__).parents[3] / "shared" / "data" / "sst2"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """What scikit-learn says of its data sets, sentence by sentence, and of which one it was."""
    lines = []
    for load in (load_breast_cancer, load_diabetes, load_iris, load_wine):
        for sentence in " ".join(load().DESCR.split()).split(". "):
            lines.append(f"{sentence}\t{load.__name__}")
    path = tmp_path_factory.mktemp("text") / "said.tsv"
    path.write_text("\n".join(lines * 3), encoding="utf-8")
    return path


def test_what_is_usual_is_asked_of_texts_that_words_were_not_learned_from(reviews, tmp_path):
    few = stepwell.learn(reviews, tmp_path / "few", preset="fast", report=False)
    assert not few.has("usual")  # all are founders
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stepwell.gathering.TEXTS", 60)
        run = stepwell.learn(reviews, tmp_path / "run", preset="fast", report=False)
    founder = parquet.read_table(tmp_path / "run" / "examples.parquet")["founder"].to_numpy()
    rows = run.part("usual").rows
    assert len(rows) >= 100
    assert not founder[rows].any()


def test_mistakes_in_a_table_of_texts_are_told(call, reviews, tmp_path):
    assert call("learn", reviews, "--out", tmp_path / "run", "--preset", "fast").code == 0
    path = tmp_path / "few.csv"
    rows = ["text;label", "mean radius of a cell;cells", "petals of an iris;flowers"]
    rows += ["petals of an iris;flowers", "a wine;wine", "a wine;flowers", "later;", ";cells"]
    rows += [f"cell {i};cells" for i in range(5)] + [f"petal {i};flowers" for i in range(5)]
    path.write_text("\n".join(rows), encoding="utf-8")
    said = call("finetune", tmp_path / "run", "--labels", path)
    assert said.code == 0, said.err
    assert "12 labelled examples, 2 classes" in said.out
    assert "1 example says the same again (few.csv#row=3)" in said.out
    assert "few.csv#row=4 = few.csv#row=5: 'wine' or 'flowers'" in said.out
    assert "1 example has no label yet (few.csv#row=6)" in said.out
    assert "1 example can't be read (few.csv#row=7)" in said.out


@pytest.mark.parametrize("pretext", [None, "neighbours"])
def test_the_story_of_a_text(call, reviews, tmp_path, pretext):
    out = tmp_path / "run"
    words = ("--pretext", pretext) if pretext else ()
    said = call("learn", reviews, "--out", out, "--labels", reviews, "--json", *words)
    assert said.code == 0, said.err
    scores = json.loads(said.out)
    names = {row["name"] for row in scores["labelled"]}
    assert {"stepwell", "whitening only", "raw input", "random encoder", "shuffled pairs"} <= names
    assert "features alone" in names
    assert scores["head"][-1]["labels"] == "all"
    run = stepwell.load(out)
    assert run.config["learn"]["encoder"] == "words"
    assert run.config["learn"]["pretext"] == (pretext or "two_views")
    assert np.allclose(np.linalg.norm(run.embed(reviews), axis=1)[:5], 1, atol=1e-3)
    found = call("search", out, "said.tsv#row=0", "-n", "3", "--json")
    assert found.code == 0, found.err
    rows = json.loads(found.out)
    assert rows[0]["id"] == "said.tsv#row=0"
    assert rows[0]["text"] in reviews.read_text("utf-8")
    said = json.loads(call("search", out, rows[0]["text"], "-n", "1", "--json").out)
    assert said[0]["text"] == rows[0]["text"]  # a text that is longer than a file's name
    assert said[0]["cosine"] > 0.99
    assert rows[0]["text"][:20] in call("search", out, "said.tsv#row=0", "-n", "1").out
    assert call("search", out, "said.tsv#row=99999").code == 2
    np.save(tmp_path / "images.npy", np.zeros((9, 8, 8), np.uint8))
    mistaken = call("embed", out, tmp_path / "images.npy", "--out", tmp_path / "x.npy")
    assert mistaken.code == 2
    assert "Expected text, which the run was learned from, found image" in mistaken.err
    bits = scores["bits"]
    assert 0 < bits["n-gram"] < bits["single bytes"]
    assert counts_of(run).texts == run.config["data"]["examples"]
    words = ("generate", out, "--prompt", "the ", "--length", "30", "--seed", "2")
    plain, stream = call(*words), call(*words, "--stream")
    assert plain.out == stream.out
    assert plain.out.startswith("the ")
    assert len(plain.out.rstrip("\n")) <= 34
    assert json.loads(call(*words, "--json").out)["text"] in plain.out
    for wrong in (("--length", "0"), ("--top-p", "0"), ("--temperature", "-1"), ("--seed", "-1")):
        assert call("generate", out, *wrong).code == 2
    assert call("generate", out, "--temperature", "nan").code == 2
    assert run.generate("the ", 30, seed=2) == plain.out[4:].rstrip("\n")
    sure = [run.generate("the ", 30, temperature=t) for t in (0, 1e-9)]
    assert sure[0] == sure[1] != ""
    unknown = call("search", out, "zzzqqq xxyy")
    assert unknown.code == 2
    assert "found none of them in 'zzzqqq xxyy'" in unknown.err
    assert np.array_equal(run.embed("breast cancer"), run.embed(["breast cancer"]))
    one, two = run.embed(["breast cancer", "petal width"])
    assert one @ one > one @ two
    for verb in (
        ("steps", out),
        ("status", out),
        ("embed", out, reviews, "--out", tmp_path / "e.npy"),
    ):
        again = call(*verb)
        assert again.code == 0, again.err
        assert verb[0] != "steps" or " rather than " in again.out


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("", (), "there is nothing in it"),
        ("one\ntwo\n", (), "at least 8 examples"),
        ("one word\n" * 9, ("--pretext", "missing", "--device", "gpu"), "(cpu"),
        ("one word\n" * 9, ("--pretext", "missing", "--warmup", "3"), "a share of all steps"),
        ("one word\n" * 9, ("--pretext", "order", "--engine", "spectral"), "something else"),
        ("one\ntwo\nthree\n" * 4, ("--views", "flip"), "Expected views for images"),
        ("one word\n" * 9, ("--pretext", "clusters"), "which is for image"),
        ("one word\n" * 9, ("--backbone", "resnet18"), "Expected a folder with a text model"),
    ],
)
def test_mistakes_are_told(call, tmp_path, content, words, said):
    path = tmp_path / "a.txt"
    path.write_text(content)
    found = call("learn", path, "--out", tmp_path / "r", "--no-report", *words)
    assert found.code in (1, 2), found.out
    assert said in found.err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("engine", ["spectral", "gradient"])
def test_a_text_model_of_others_stays_frozen_or_is_trained_on(call, reviews, tmp_path, engine):
    from text_models import bert

    folder, out = bert(tmp_path / "model"), tmp_path / "run"
    words = ["--backbone", folder, "--engine", engine, "--out", out, "--no-report"]
    words += ["--samples", "256"] if engine == "gradient" else []
    said = call("learn", reviews, *words)
    assert said.code == 0, said.err
    run = stepwell.load(out)
    assert run.config["learn"]["encoder"] == "pretrained"
    asked = next(iter(open_source(reviews).batches(9)))
    before = PretrainedEncoder(str(folder), "cpu").fit(asked)
    same = np.allclose(run.encoder.embed(asked), before.embed(asked), atol=1e-5)
    assert same == (engine == "spectral")
    shutil.rmtree(folder)  # the run holds all of it
    assert stepwell.load(out).embed(reviews).shape[0] == run.config["data"]["examples"]


def test_mistakes_with_text_models_of_others_are_told(call, reviews, tmp_path):
    from text_models import bert

    folder = bert(tmp_path / "model")
    for wrong, message in (
        (("--backbone", tmp_path / "none"), "nothing is downloaded"),
        (("--backbone", folder, "--pretext", "missing"), "two_views, neighbours"),
        (("--backbone", folder, "--weights", tmp_path), "leave them out"),
        (("--encoder", "pretrained"), "as --backbone, found ''"),
    ):
        said = call("learn", reviews, *wrong, "--out", tmp_path / "other")
        assert said.code == 2
        assert message in said.err


@pytest.mark.slow
@pytest.mark.skipif(not SST.exists(), reason="SST-2 is not here")
def test_sentiment_of_reviews_is_told_by_few_labels(tmp_path):
    run = stepwell.learn(SST / "train.tsv", tmp_path / "run", report=False)
    contestants, sides = Contestants(run, 0), []
    for name in ("train.tsv", "dev.tsv"):
        source = open_source(SST / name)
        labels, batch = source.labels(), concatenate(source.batches(512))
        sides.append((contestants(batch), np.array([int(labels[i]) for i in batch.ids])))
    (bank, known), (asked, truth) = sides
    found = {
        name: few_labels("knn", bank[name], known, asked[name], truth, 50).value for name in bank
    }
    ours = found.pop("stepwell")
    assert ours > found.pop("whitening only")
    assert ours > found.pop("features alone") - 3  # pairs of halves add nothing to these here
    assert all(ours > value + 4 for value in found.values()), (ours, found)


def test_texts_of_another_column_are_told(call, reviews, tmp_path):
    lines = [line.split("\t") for line in reviews.read_text("utf-8").splitlines()]
    for name in ("body", "title"):
        with open(tmp_path / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([(name, "label"), *lines])
    run = stepwell.learn(tmp_path / "body.csv", tmp_path / "r", preset="fast", report=False)
    said = "these texts are of the column 'title', those it was learned from of 'body'"
    assert said in " ".join(run.evaluate(tmp_path / "title.csv")["left_out"])
    assert said in " ".join(run.finetune(tmp_path / "title.csv")["left_out"])
    assert "of the column" not in " ".join(run.evaluate(tmp_path / "body.csv")["left_out"])
