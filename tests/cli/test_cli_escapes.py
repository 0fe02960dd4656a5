"""Names of strangers on the way out: to the terminal, to a spreadsheet, to a page."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

NAMES = [
    "\x1b]0;OWNED\x07\x1b[31mred",
    "=cmd|' C calc'!A0",
    "@SUM(1+1)",
    "\u202egnp.exe",
    "\x9b31m",
]
NAMES += ["<img src=x onerror=alert(1)>", "{{7*7}}", "-2+3+cmd"]
CLASSES = ["=1+1", "<b onmouseover=alert(5)>k"]


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    root = tmp_path_factory.mktemp("strangers")
    for i in range(32):
        folder = root / CLASSES[i % 2]
        folder.mkdir(exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 99, (12, 12, 3), np.uint8)
        pixels[:, : 6 * (1 + i % 2)] += 99
        Image.fromarray(pixels).save(folder / f"{NAMES[i % len(NAMES)]}{i}.png")
    (root / CLASSES[0] / "\x1b[5mbroken.png").write_bytes(b"<html>no")
    return root


def clean(text):
    return not any(sign in text for sign in "\x1b\x07\x9b\u202e")


def test_names_only_show(call, strangers, tmp_path, tiny):
    run, out = tmp_path / "run", tmp_path / "out.csv"
    said = call("learn", strangers, "--out", run, "--labels", strangers)
    assert said.code == 0, said.err
    assert clean(said.out + said.err)
    assert r"\x1b[5mbroken.png" in said.out
    page = (run / "report.html").read_text("utf-8")
    assert "<img src=x" not in page
    assert "<b onmouseover" not in page
    said = call("finetune", run, "--labels", strangers)
    assert said.code == 0, said.err
    assert clean(said.out + said.err)
    for words in (("predict", run, strangers), ("suggest", run), ("status", run)):
        said = call(*words)
        assert clean(said.out + said.err)
        told = call(*words, "--json")
        assert clean(told.out)
        json.loads(told.out)
    assert clean(call("search", run, "\x1b[31mnothing").err)
    said = call("predict", run, strangers, "--out", out)
    assert "begin with an apostrophe now" in said.err
    rows = list(csv.DictReader(out.open(encoding="utf-8", newline="")))
    assert {row["label"] for row in rows} <= {"'=1+1", CLASSES[1]}
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())
    again = call("finetune", run, "--labels", out, "--json")
    assert set(json.loads(again.out)["classes"]) <= set(CLASSES)
    said = call("predict", run, strangers, "--out", out, "--raw-csv", "--overwrite")
    assert "apostrophe" not in said.err
