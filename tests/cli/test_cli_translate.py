"""From pairs of texts to translations, on the command line."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

import stepwell
from stepwell.sources import open_source
from stepwell.translating import copied

WORDS = {
    "red": "rot", "blue": "blau", "small": "klein", "old": "alt", "cat": "Katze", "dog": "Hund",
    "house": "Haus", "tree": "Baum", "sees": "sieht", "likes": "mag", "chases": "jagt",
}  # fmt: skip
KINDS = (
    ("red", "blue", "small", "old"),
    ("cat", "dog", "house", "tree"),
    ("sees", "likes", "chases"),
)


def said(rng):
    """A sentence: one thing and another."""
    how, who, does = (rng.choice(kind, 2) for kind in KINDS)
    return f"{how[0]} {who[0]} {does[0]} {how[1]} {who[1]}"


def german(text):
    """Word by word, the verb at the end."""
    first, second, verb, third, fourth = (WORDS[word] for word in text.split())
    return f"{first} {second} {third} {fourth} {verb}"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    texts = [said(rng) for _ in range(1500)]
    for name, lines in (("a.en", texts), ("a.de", map(german, texts))):
        with gzip.open(folder / f"{name}.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    rng = np.random.default_rng(1)
    asked = [text for text in (said(rng) for _ in range(60)) if text not in texts][:20]
    (folder / "new.txt").write_text("".join(f"{line}\n" for line in asked))
    (folder / "new.de.txt").write_text("".join(f"{german(line)}\n" for line in asked))
    return folder


@pytest.fixture(scope="module")
def run(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    told = {"samples": 9600, "batch": 64, "rate": 0.003, "shuffled": False, "device": "cpu"}
    source = open_source(pairs / "a.en.gz", target=pairs / "a.de.gz")
    stepwell.learn(source, out, preset="fast", pretext="parallel", train=told, report=False)
    return out


def test_new_sentences_are_translated(call, run, pairs):
    asked = (pairs / "new.txt").read_text().splitlines()
    said = call(
        "translate", run, "--file", pairs / "new.txt", "--reference", pairs / "new.de.txt", "--json"
    )
    assert said.code == 0, said.err
    found = json.loads(said.out)
    right = np.mean([a == german(b) for a, b in zip(found["translations"], asked, strict=True)])
    assert right > 0.8
    assert found["scores"]["BLEU"] > 80
    one = call("translate", run, asked[0], "", "--beam", "1")
    assert one.out.splitlines() == [found["translations"][0], ""]
    config = stepwell.load(run).config
    assert config["learn"]["engine"] == "gradient"
    assert config["train"]["pretext"] == "parallel"
    assert config["source"]["options"]["target"].endswith("a.de.gz")
    held = json.loads((run / "scores.json").read_text())
    assert held["pairs"] == 150
    assert "answers" not in held  # texts are in a file of their own
    answers = stepwell.load(run).answers
    assert len(answers) == 6
    assert all(row["wanted"] == german(row["asked"]) for row in answers)
    assert sum(row["answer"] == row["wanted"] for row in answers) >= 4
    assert isinstance(stepwell.load(run).translate(asked[0]), str)
    page = stepwell.load(run).report().read_text("utf-8")
    assert "What it says" in page
    assert answers[0]["wanted"] in page
    assert "stepwell translate" in (run / "card.md").read_text("utf-8")
    assert held["translation"]["stepwell"] > 80 > held["translation"]["the text itself"]


def test_lines_of_a_file_stay_lines(call, run, pairs, tmp_path):
    (tmp_path / "some.txt").write_text("red cat sees old tree\n\nblue dog likes small house\n")
    out = tmp_path / "some.de.txt"
    assert call("translate", run, "--file", tmp_path / "some.txt", "--out", out).code == 0
    lines = out.read_text().split("\n")
    assert lines[1] == lines[3] == ""
    assert lines[0]
    assert lines[2]
    again = call("translate", run, "red cat", "--out", out)
    assert again.code == 2
    assert "add --overwrite" in again.err


def test_words_are_aligned_and_looked_up(call, run):
    said = call("translate", run, "red cat sees old tree", "--align", "--json")
    pairs = dict(json.loads(said.out)["aligned"][0])
    assert {pairs.get("cat"), pairs.get("tree")} == {"Katze", "Baum"}
    assert "red – rot" in call("translate", run, "red cat sees old tree", "--align").out
    found = call("translate", run, "--dictionary", "dog", "zebra").out.splitlines()
    assert found[0].startswith("dog  hund ")
    assert found[1] == "zebra  not known"


def test_a_run_is_a_run_and_can_be_gone_on_with(call, run, pairs, tmp_path):
    assert call("search", run, "red cat sees old tree", "-n", "2").code == 0
    words = ("--pretext", "parallel", "--target", pairs / "a.de.gz", "--samples", "64")
    words += ("--no-shuffled", "--no-report", "--device", "cpu", "--batch", "32")
    out = tmp_path / "again"
    said = call("learn", "--source", pairs / "a.en.gz", "--weights", run, "--out", out, *words)
    assert said.code == 0, said.err
    right = "rot Katze alt Baum sieht"  # still knows what it knew
    assert call("translate", out, "red cat sees old tree").out.strip() == right


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "texts or --file, one of the two"),
        (("a", "--file", "b"), "texts or --file, one of the two"),
        (("a", "--reference", "b"), "a --file that the reference"),
        (("a", "--align", "--out", "b"), "translations that are shown"),
        (("a", "--beam", "0"), "a beam and batches of 1 or more"),
        (("--file", "nowhere.txt"), "found nothing at nowhere.txt"),
    ],
)
def test_mistakes_are_told(call, run, words, told):
    said = call("translate", run, *words)
    assert said.code == 2
    assert told in said.err


def test_what_can_not_be_learned_from_is_told(call, pairs, tmp_path):
    alone = call("learn", pairs / "a.en.gz", "--pretext", "parallel", "--out", tmp_path / "x")
    assert alone.code == 2
    assert "add --target" in alone.err
    both = call("learn", pairs / "a.en.gz", "--source", pairs / "a.en.gz", "--out", tmp_path / "x")
    assert both.code == 2
    plain = call("learn", pairs / "a.en.gz", "--out", tmp_path / "plain", "--no-report")
    assert plain.code == 0
    refused = call("translate", tmp_path / "plain", "red cat")
    assert refused.code == 2
    assert "Sentences can not be translated without such pairs" in refused.err
    weights = call("learn", pairs / "a.en.gz", "--pretext", "next", "--weights", tmp_path / "plain")
    assert weights.code == 2
    assert "whose transformer was trained for next" in weights.err


def test_names_are_copied():
    known = ({"sits", "and"}, {"sitzt", "und"})
    assert copied("Zyx sits", "Zücks sitzt", known) == "Zyx sitzt"
    assert copied("Zyx and Abc sits", "Zz und Aa sitzt.", known) == "Zyx und Abc sitzt."
    assert copied("Zyx sits", "sitzt", known) == "sitzt"
