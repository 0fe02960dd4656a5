"""Names of strangers on the way out: to the terminal, to a spreadsheet, to a page."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import threading
import warnings
from html.parser import HTMLParser

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


class Seen(HTMLParser):
    """Elements and attributes of a page, and what is in its scripts."""

    def __init__(self, text):
        super().__init__()
        self.names, self.values, self.scripts, self._kind = set(), set(), [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names |= {tag, *(name for name, _ in attrs)}
        self.values |= {value for name, value in attrs if name in ("href", "src", "style")}
        if tag == "script":
            self._kind = dict(attrs).get("type", "")
            self.scripts.append([self._kind, ""])

    def handle_endtag(self, tag):
        self._kind = None if tag == "script" else self._kind

    def handle_data(self, data):
        if self._kind is not None:
            self.scripts[-1][1] += data


def check_page(text):
    """Raise where a page does what a name says."""
    assert clean(text)
    page = Seen(text)
    assert not any(name.startswith("on") for name in page.names)
    assert page.names.isdisjoint({"iframe", "object", "embed", "base", "form", "link", "u"})
    wild = re.compile(r"\s*(javascript:|https?:|data:(?!image/))", re.I)
    assert not any(wild.match(value or "") for value in page.values)
    assert len(page.scripts) == 2
    for kind, content in page.scripts:
        if kind == "application/json":
            json.loads(content)
        else:
            assert "alert(" not in content


def clean(text):
    return not any(sign in text for sign in "\x1b\x07\x9b\u202e")


def test_names_only_show(call, strangers, tmp_path, tiny):
    run, out = tmp_path / "run", tmp_path / "out.csv"
    said = call("learn", strangers, "--out", run, "--labels", strangers)
    assert said.code == 0, said.err
    assert clean(said.out + said.err)
    assert r"\x1b[5mbroken.png" in said.out
    check_page((run / "report.html").read_text("utf-8"))
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


def test_vectors_name_examples_that_are_no_formulas(call, strangers, tiny_run, tmp_path, tiny):
    out = tmp_path / "v.csv"
    said = call("embed", tiny_run, strangers, "--out", out)
    assert said.code == 0, said.err
    assert "16 cells of" in said.err  # of the class =1+1
    names = [row["id"] for row in csv.DictReader(out.open(encoding="utf-8", newline=""))]
    assert sum(name.startswith("'=1+1/") for name in names) == 16
    said = call("embed", tiny_run, strangers, "--out", out, "--raw-csv", "--overwrite")
    assert "apostrophe" not in said.err
    names = [row["id"] for row in csv.DictReader(out.open(encoding="utf-8", newline=""))]
    assert sum(name.startswith("=1+1/") for name in names) == 16


def test_texts_and_classes_only_show_on_a_page(call, tmp_path):
    words = [
        "<u>six</u>",
        "\x1b]0;T\x07",
        "=HYPERLINK(1)",
        "\u202egnp",
        "</script><script>alert(1)",
    ]
    rows = [
        [f"{words[i % 5]} the film was {'great fun' if i % 2 else 'dull'} {i}", CLASSES[i % 2]]
        for i in range(60)
    ]
    with open(tmp_path / "t.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *rows])
    out, table = tmp_path / "run", tmp_path / "t.csv"
    said = call("learn", table, "--out", out, "--labels", table, "--preset", "fast")
    assert said.code == 0, said.err
    assert clean(said.out + said.err)
    check_page((out / "report.html").read_text("utf-8"))


def test_a_card_shows_what_data_is_called(call, digits, tmp_path, tiny):
    data = tmp_path / "[x](http:evil) <img src=x>\x1b[1m"
    shutil.copytree(digits, data)
    assert call("learn", data, "--out", tmp_path / "run", "--no-report").code == 0
    head = (tmp_path / "run" / "card.md").read_text("utf-8").splitlines()[0]
    assert head == r"# \[x\](http:evil) \<img src=x\>\\x1b\[1m"


def test_what_python_prints_only_shows(call, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    assert call("doctor", "--json").code == 0
    try:
        raise ValueError("\x1b[31mred \u202e")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert clean(said)
    assert r"ValueError: \x1b[31mred \u202e" in said
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert clean(warnings.formatwarning("\x1b[2J", UserWarning, "\x9bfile.py", 1))


def test_errors_of_wrong_use_only_show(call, tiny_run):
    for words in (
        ("learn", "\x1b[31mnone"),
        ("\x1b[31mlearn",),
        ("status", "--\x1b[2J"),
        ("learn", tiny_run, "-o", "\x1b[1m"),
        ("predict", tiny_run, "\u202enone.png"),
        ("evaluate", tiny_run, "--labels", "\x9bnone.csv"),
    ):
        for more in ((), ("--json",)):
            said = call(*words, *more)
            assert said.code in (1, 2)
            assert clean(said.out + said.err)
