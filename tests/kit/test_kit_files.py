"""Files and folders are whole or absent, whenever the process is killed; and one writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.interfaces import StepwellError
from stepwell.kit.files import held, lock, write_atomic, write_json
from stepwell.kit.folders import new_folder, recover

# Writes a folder over an old one, and dies at the given call of the given function.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from stepwell.kit import folders

if os.environ.get("TWO_RENAMES"):
    folders.exchanged = lambda one, other: False
name, call, target, overwrite = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
owner = shutil if name == "rmtree" else os
plain, left = getattr(owner, name), [call]

def deadly(*words, **options):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*words, **options)

setattr(owner, name, deadly)
with folders.new_folder(target, overwrite=overwrite == "yes") as folder:
    for part in ("one", "two"):
        (folder / part).write_text("new")
print("done")
"""
MOMENTS = [("fsync", i) for i in range(6)] + [("replace", i) for i in range(3)] + [("rename", 0)]
MOMENTS += [("rmtree", 0), ("mkdir", 0), ("mkdir", 1)]


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def content(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir()}


@given(st.binary(max_size=200))
def test_bytes_are_written_as_they_are(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "bytes"
    write_atomic(path, raw)
    assert path.read_bytes() == raw


def test_text_is_utf8_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    write_atomic(path, "Größe\n")
    assert path.read_bytes() == "Größe\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert content(tmp_path) == {"a.txt": "old"}


def test_json_keeps_letters_and_takes_numbers_of_numpy(tmp_path):
    import numpy as np

    content = {"é": np.float32(0.5), "n": [1, None, True], "odd": (np.nan, np.float32("inf"))}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "é" in text
    expected = {"é": 0.5, "n": [1, None, True], "odd": [None, None]}
    assert json.loads(text, parse_constant=pytest.fail) == expected


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "run"
    with new_folder(target, overwrite=False) as scratch:
        (scratch / "a").write_text("x")
        assert not target.exists()
        assert scratch.parent == target.parent  # the same disk: a rename, not a copy
    assert content(target) == {"a": "x"}
    assert leftovers(target.parent) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failure_leaves_what_was_there(tmp_path, error, overwrite):
    target = tmp_path / "run"
    if overwrite:
        target.mkdir()
        (target / "a").write_text("old")

    def begin_and_fail():
        with new_folder(target, overwrite=overwrite) as scratch:
            (scratch / "a").write_text("new")
            raise error

    with pytest.raises(error):
        begin_and_fail()
    assert target.exists() == overwrite
    assert not overwrite or content(target) == {"a": "old"}
    assert leftovers(tmp_path) == []


def test_an_existing_folder_is_only_replaced_where_that_is_wanted(tmp_path):
    target = tmp_path / "run"
    target.mkdir()
    (target / "a").write_text("old")
    with pytest.raises(OSError), new_folder(target, overwrite=False) as scratch:  # noqa: PT011
        (scratch / "a").write_text("new")
    assert content(target) == {"a": "old"}
    with new_folder(target, overwrite=True) as scratch:
        (scratch / "b").write_text("new")
    assert content(target) == {"b": "new"}
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("renames", ["", "two"])
@pytest.mark.parametrize("overwrite", ["yes", "no"])
@pytest.mark.parametrize(("name", "call"), MOMENTS)
def test_killed_at_any_system_call_it_is_whole_or_absent(tmp_path, name, call, overwrite, renames):
    target = tmp_path / "run"
    if overwrite == "yes":
        target.mkdir()
        (target / "one").write_text("old")
    command = [sys.executable, "-c", KILLED, name, str(call), str(target), overwrite]
    environment = {**os.environ, "TWO_RENAMES": renames}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL or "done" in done.stdout, done.stderr
    new, old = {"one": "new", "two": "new"}, {"one": "old"}
    if target.exists():
        assert content(target) in ([new, old] if overwrite == "yes" else [new])
    # A reader finds what was moved aside; so does the next writer, and nothing is left over.
    recover(target)
    assert leftovers(tmp_path) == []
    if overwrite == "yes":
        assert content(target) in (new, old)
    # The next writer finds what was moved aside, and nothing is left over.
    with new_folder(target, overwrite=True):
        assert overwrite == "no" or content(target) in (new, old)
    assert leftovers(tmp_path) == []


def test_the_lock_belongs_to_one_process(tmp_path):
    path = tmp_path / ".run.lock"
    with lock(path, "run"):
        assert path.read_text() == str(os.getpid())
        with pytest.raises(StepwellError, match=f"found process {os.getpid()}") as caught:
            lock(path, "runs/x").__enter__()
        assert str(caught.value).startswith("Expected to be the only one writing runs/x")
        assert path.exists()
    assert not path.exists()
    with lock(path, "run"):
        pass


def test_a_failure_frees_the_lock(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(ValueError, match="x"), lock(path, "run"):
        raise ValueError("x")
    assert not path.exists()


@pytest.mark.parametrize("held_by", ["the dead", "", "no number"])
def test_a_lock_without_a_living_holder_is_taken_over(tmp_path, held_by):
    path = tmp_path / "lock"
    if held_by == "the dead":
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        held_by = str(gone.pid)
    path.write_text(held_by)
    with lock(path, "run"):
        assert path.read_text() == str(os.getpid())


_HOLD = """
import sys
from pathlib import Path
from stepwell.kit.files import lock
with lock(Path(sys.argv[1]), "run"):
    print("held", flush=True)
    input()
"""


def test_a_lock_held_by_another_living_process_is_respected(tmp_path):
    path = tmp_path / "lock"
    words = [sys.executable, "-c", _HOLD, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, **pipes) as other:
        assert other.stdout.readline() == b"held\n"
        assert held(path)
        with pytest.raises(StepwellError, match=f"process {other.pid}"), lock(path, "run"):
            pass
        assert path.read_text() == str(other.pid)
        other.kill()  # the system lets go, whatever the file says
        other.wait()
        assert not held(path)
        with lock(path, "run"):
            pass
    assert not path.exists()


@pytest.mark.parametrize("name", ["a", "a[1]"])
def test_only_what_is_left_of_the_same_name_is_tidied(tmp_path, name):
    mine = tmp_path / f".{name}.0123abcd.old"
    others = tmp_path / f".{name}.b.0123abcd.partial", tmp_path / f".{name}.b.0123abcd.old"
    for folder in (mine, *others):
        folder.mkdir()
    (mine / "config.toml").write_text("mine")
    with pytest.raises(RuntimeError), new_folder(tmp_path / name, overwrite=True):
        raise RuntimeError
    assert (tmp_path / name / "config.toml").read_text() == "mine"
    assert not mine.exists()
    assert all(folder.is_dir() for folder in others)
