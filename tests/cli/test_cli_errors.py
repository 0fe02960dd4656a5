"""Misspelt words, exit codes, two writers, newer formats: what is said, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from helpers import START, begun

import stepwell
from stepwell.cli import console, doctor
from stepwell.cli.console import Progress, describe, table
from stepwell.cli.learn import seconds
from stepwell.cli.main import VERBS, cli
from stepwell.interfaces import StepwellError, UsageError
from stepwell.runfile import FORMAT
from stepwell.sources import open_source


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lern", "x"], "Did you mean 'learn'?"),
        (["serach", "x"], "Did you mean 'search'?"),
        (["learn", "{src}", "--ovewrite"], "--overwrite"),
        (["learn", "{src}", "--presset", "fast"], "--preset"),
        (["embed", "{run}", "{src}", "--uot", "x.npy"], "--out"),
        (["learn", "{src}x"], "Did you mean"),
        (["learn", "{src}", "--out", "{new}", "--views", "corp"], "Did you mean 'crop'?"),
        (["learn", "{src}", "--out", "{new}", "--encoder", "patchs"], "Did you mean 'patches'?"),
        (["learn", "{src}", "--out", "{new}", "--pretext", "tow_views"], "'two_views'?"),
        (["search", "{run}", "train/0/000.png"], "Did you mean 'train/0/00"),
        (["report", "{run}y"], "Did you mean 'tiny'?"),
        (["embed", "{run}", "{src}", "--out", "x.parqet"], "x.parqet"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_the_nearest_word_is_suggested(call, digits, tiny_run, tmp_path, words, hint):
    places = {"src": digits, "run": tiny_run, "new": tmp_path / "new"}
    said = call(*(word.format(**places) for word in words))
    assert said.code == 2
    assert said.err.startswith("stepwell: ")
    assert hint in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "new").exists()


def test_errors_are_json_where_json_is_asked_for(call, digits):
    said = call("learn", f"{digits}x", "--json")
    assert said.code == 2
    found = json.loads(said.out)
    assert found["code"] == 2
    assert found["error"].startswith("Expected a folder or file")
    assert said.err == ""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("Expected a, found b."), 2, "Expected a, found b."),
        (StepwellError("Expected c, found d."), 1, "Expected c, found d."),
        (KeyboardInterrupt(), 130, "no half of a run"),
        (MemoryError(), 1, "--preset fast"),
        (OSError(28, "No space left on device"), 1, "free some"),
        (OSError(27, "File too large"), 1, "free some"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "found Permission denied at /x/y"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_failure_has_its_code(call, monkeypatch, error, code, words):
    def fails(*_):
        raise error

    monkeypatch.setattr(doctor, "examine", fails)
    said = call("doctor")
    assert said.code == code
    assert words in said.err


def test_a_bug_keeps_its_traceback(call, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("doctor")


def test_help_and_version(call):
    said = call("--help")
    assert said.code == 0
    for verb, what in VERBS.items():
        assert verb in said.out
        assert what[:40] in said.out
    assert call("--version").out.strip().endswith(stepwell.__version__)
    assert CliRunner().invoke(cli, ["-h"]).exit_code == 0


HELP = """
import sys
sys.argv = ["stepwell", "--help"]
from stepwell.cli import main
main()
print(sorted({"numpy", "scipy", "sklearn", "PIL", "pyarrow", "rich", "torch"} & set(sys.modules)))
"""


def test_help_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert "Verbs:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["search", "embed", "evaluate", "report", "tour"])
def test_a_newer_run_says_which_version_to_install(call, tiny_run, digits, tmp_path, verb):
    run = tmp_path / "newer"
    shutil.copytree(tiny_run, run)
    config = (run / "config.toml").read_text("utf-8")
    newer = config.replace(f"format = {FORMAT}", f"format = {FORMAT + 1}", 1)
    newer = newer.replace("0.1.0", "9.9.9")
    (run / "config.toml").write_text(newer, "utf-8")
    more = {"search": ["x"], "embed": [digits, "--out", tmp_path / "z.npy"]}
    more["evaluate"] = ["--labels", digits]
    said = call(verb, run, *more.get(verb, []))
    assert said.code == 1
    assert f"found format {FORMAT + 1}" in said.err
    assert "stepwell 9.9.9; install that version" in said.err


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("part", ["encoder", "map"])
def test_a_damaged_run_says_so(call, tiny_run, digits, tmp_path, part):
    run = tmp_path / "damaged"
    shutil.copytree(tiny_run, run)
    (run / "parts" / part / "arrays.safetensors").write_bytes(b"gone")
    said = call("embed", run, digits, "--out", tmp_path / "z.npy")
    assert said.code == 1
    assert "The run is damaged" in said.err
    assert not (tmp_path / "z.npy").exists()


def test_a_run_whose_plug_in_is_missing_says_so(call, tiny_run, digits, tmp_path):
    said = call("embed", tiny_run, digits, "--out", tmp_path / "z.npy")
    assert said.code == 1
    assert "found 'thumbnails'" in said.err
    assert "install the plug-in" in said.err


@pytest.mark.usefixtures("tiny")
def test_two_writers_of_one_run(call, digits, tmp_path):
    out = tmp_path / "run"
    with begun(digits, out, "--no-report") as first:
        first.send_signal(signal.SIGSTOP)
        try:
            said = call("learn", digits, "--out", out, "--no-report")
        finally:
            first.send_signal(signal.SIGCONT)
        assert said.code == 1
        assert f"found process {first.pid} at it" in said.err
        assert first.wait(60) == 0
    assert len(stepwell.load(out).index[0]) == 100
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.usefixtures("tiny")
def test_an_interrupt_leaves_nothing_and_returns_130(digits, tmp_path):
    with begun(digits, tmp_path / "run") as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_a_reader_that_goes_away_is_no_error(digits):
    command = f"{sys.executable} -c '{START}' --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("2m", 120), ("1.5h", 5400), (" 3 min ", 180), (None, None)],
)
def test_times(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "-3", "0", "1d", "1 2"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match="Expected a time such as"):
        seconds(text)


def test_progress_has_rate_rest_and_waiting():
    said = describe({"done": 2000, "of": 6000, "wait": 0.25}, 10.0)
    assert said == "2,000 of 6,000 · 200/s · 20 s left · waiting for data 25%"
    assert describe({"done": 5, "of": None}, 10.0) == "5 · 0.50/s"
    assert describe({"found": 12345}, 1.0) == "12,345 found"
    assert describe({}, 7.0) == "7 s"


def test_progress_is_plain_lines_elsewhere_and_does_not_wait_to_be_told(capsys, monkeypatch):
    monkeypatch.setattr(console, "QUIET_S", 0.05)
    monkeypatch.setattr(console, "PAUSE_S", 0.02)
    with Progress() as observe:
        observe("learn", {"done": 60, "of": 90})
        time.sleep(0.3)  # nothing more is told, and yet it says how long that takes
        observe("solve", {})
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) > 1
    assert all(line.startswith("absorbing · learning: 60 of 90") for line in lines)
    assert "\r" not in captured.err


def test_progress_is_silent_for_what_is_short_and_where_it_is_told_to_be(capsys):
    with Progress() as observe:
        observe("learn", {"done": 1})
    with Progress(silent=True) as observe:
        observe("learn", {"done": 1})
    assert capsys.readouterr().err == ""


def test_tables_line_up():
    lines = table([["a", "1.0"], ["longer", "100.0"]], ["name", "%"]).splitlines()
    assert lines[0] == "name        %"
    assert lines[2] == "a         1.0"
    assert lines[3] == "longer  100.0"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file,label\nnothing.png,1\nnone.png,2\n", "such as 'nothing.png'"),
        ("file,label\n{first},1\n", "at least two classes"),
    ],
)
def test_labels_of_other_files_are_refused_before_learning(call, digits, tmp_path, table, words):
    first = next(iter(open_source(digits).entries()))[0]
    labels = tmp_path / "labels.csv"
    labels.write_text(table.replace("{first}", first))
    said = call("learn", digits, "--out", tmp_path / "run", "--labels", labels)
    assert said.code == 2
    assert words in said.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("tiny")
def test_a_test_set_without_labels_is_refused(call, digits, tmp_path):
    said = call("learn", digits, "--out", tmp_path / "run", "--test", digits)
    assert said.code == 2
    assert "found only a test set" in said.err


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--views", "zoom"), "found views given too"),
        (("--seed", "3"), "Expected the sibling's seed 0, found 3"),
    ],
)
def test_what_a_sibling_decides_can_not_be_given_too(call, digits, tmp_path, option, words):
    assert call("learn", digits, "--out", tmp_path / "a", "--no-report").code == 0
    more = ("--founders-from", tmp_path / "a", *option)
    said = call("learn", digits, "--out", tmp_path / "b", "--no-report", *more)
    assert said.code == 2
    assert words in said.err


@pytest.mark.usefixtures("tiny")
def test_a_report_that_fails_leaves_the_run(digits, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no page")

    monkeypatch.setattr("stepwell.reporting.write_report", fails)
    with pytest.raises(RuntimeError, match="no page"):
        stepwell.learn(digits, tmp_path / "run")
    assert stepwell.load(tmp_path / "run").embed(digits).shape[0] == 100


def test_the_demo_replaces_no_run_of_another(call, tiny_run):
    said = call("demo", "--out", tiny_run)
    assert said.code == 2
    assert "found a run of your own" in said.err
