"""Networks on texts by the verbs of images: what is missing, out of order, or comes next."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

import stepwell

QUICK = ("--samples", "64", "--batch", "32", "--preset", "fast", "--device", "cpu", "--no-report")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """What scikit-learn says of its data sets, sentence by sentence."""
    every = (load_breast_cancer, load_diabetes, load_iris, load_wine)
    said = " ".join(load().DESCR for load in every).split()
    path = tmp_path_factory.mktemp("text") / "said.txt"
    path.write_text(" ".join(said).replace(". ", "\n"), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "objective"),
    [
        (("--pretext", "missing"), "masked_token"),
        (("--pretext", "order"), "seq2seq"),
        (("--pretext", "next"), "next_token"),
        (("--engine", "gradient", "--objective", "simclr"), "simclr"),
    ],
)
def test_a_transformer_is_trained_on_any_pretext(call, texts, tmp_path, words, objective):
    out = tmp_path / "run"
    said = call("learn", texts, "--out", out, *QUICK, *words, "--json")
    assert said.code == 0, said.err
    run = stepwell.load(out)
    assert run.config["train"]["objective"] == objective
    assert run.config["learn"]["encoder"] == "transformer"
    names = {row["name"] for row in json.loads(said.out)["retrieval"]}
    assert {"features alone", "shuffled pairs", "random encoder", "raw input"} <= names
    assert run.has("shuffled_encoder")
    z = run.embed(["some words of a text", "others"])
    assert z.shape == (2, run.width)
    assert np.isfinite(z).all()
    assert call("steps", out).code == 0
    bits = json.loads(said.out)["bits"]
    assert ("transformer" in bits) == (objective == "next_token")
    written = call("generate", out, "--prompt", "The", "--length", "30", "--seed", "1").out
    assert written.startswith("The")
    if objective == "next_token":
        assert bits["both"] <= bits["n-gram"] * 1.02
        assert len(call("generate", out, "--length", "300").out) > 1
    else:
        refused = call("learn", texts, "--weights", out, "--pretext", "next", *QUICK)
        assert refused.code == 2
        assert "whose transformer was trained for" in refused.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--pretext", "next", "--objective", "seq2seq"), "takes answers"),
        (("--pretext", "missing", "--engine", "spectral"), "Add --engine gradient"),
        (("--pretext", "clusters", "--engine", "gradient"), "is for image"),
        (("--pretext", "next", "--backbone", "resnet18"), "a folder with a text model"),
        (("--pretext", "next", "--shard"), "Expected images for --shard"),
        (("--pretext", "next", "--dry-run"), "leave --dry-run out"),
        (("--objective", "mae", "--engine", "gradient"), "Expected an objective"),
    ],
)
def test_what_does_not_go_together_is_told(call, texts, tmp_path, words, told):
    said = call("learn", texts, "--out", tmp_path / "run", *words)
    assert said.code == 2
    assert told in said.err.replace("\n", " ")
