"""One door: what is opened how, and what an error tells."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from stepwell.interfaces import UsageError
from stepwell.sources import SOURCES, open_source


def message(where, **options) -> str:
    with pytest.raises(UsageError) as caught:
        open_source(where, **options)
    return str(caught.value)


def test_a_source_is_returned_as_it_is():
    source = open_source(np.zeros((3, 8, 8), np.uint8))
    assert open_source(source) is source


def test_every_registered_kind_says_what_it_reads():
    for kind in SOURCES.values():
        assert kind.kind in ("image", "text")
        assert kind.reads
        assert callable(kind.accepts)


def test_errors_say_what_was_expected_what_was_found_and_what_to_do(photos, tmp_path):
    assert "Did you mean 'photos'?" in message(tmp_path / "photo")
    assert "last folder of it that exists" in message(tmp_path / "a" / "b" / "c")
    (tmp_path / "empty").mkdir()
    assert "found an empty folder" in message(tmp_path / "empty")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.odt").write_text("x")
    assert "1 × .odt" in message(tmp_path / "notes")
    assert "a file of another kind" in message(tmp_path / "notes" / "a.odt")
    assert "download it first" in message("https://example.org/x.zip")
    assert "empty path" in message("")
    assert "found int" in message(3)
    assert "give it again" in message(None)
    assert "Did you mean 'canvas'?" in message(photos, canvs=3)
    assert "workers" in message(photos, workers=0)
    assert "group_by" in message(photos, group_by="colour")


def test_messages_begin_alike(tmp_path):
    for where in (tmp_path / "none", tmp_path, 3, None, ""):
        assert message(where).startswith("Expected ")


def test_plugins_are_asked_first(photos, monkeypatch):
    import stepwell.sources as room

    class Mine:
        kind, reads = "image", "my own folders"

        def __init__(self, path):
            self.path = path

        @staticmethod
        def accepts(path):
            return path.is_dir()

    monkeypatch.setattr(room, "registered", lambda _, builtin: {"mine": Mine, **builtin})
    assert isinstance(open_source(photos), Mine)


def test_batches_of_nothing_are_refused(photos):
    with pytest.raises(UsageError, match="size 0"):
        open_source(photos).batches(0)


def test_importing_is_light():
    code = (
        "import sys, stepwell.sources; "
        "print([m for m in ('pyarrow', 'PIL', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
