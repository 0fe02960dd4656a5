"""Two files, line by line: what is paired, set aside and refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources import open_source


def files(folder, source, target):
    for name, lines in (("a.en.gz", source), ("a.de.gz", target)):
        with gzip.open(folder / name, "wb") as file:
            file.write(b"\n".join(lines) + b"\n")
    return folder / "a.en.gz", folder / "a.de.gz"


def test_lines_are_pairs_and_what_is_half_is_set_aside(tmp_path):
    source, target = files(
        tmp_path,
        [b"one", b"two", b"", b"", b"five", b"si\xff", "käse".encode()],
        [b"eins", b"", b"", b"vier", "fünf".encode(), b"sechs", b"sieben"],
    )
    found = open_source(source, target=target)
    (batch,) = found.batches(10)
    assert batch.ids.tolist() == ["line=1", "line=5", "line=7"]
    assert batch.data["text"].tolist() == ["one", "five", "käse"]
    assert batch.data["target"].tolist() == ["eins", "fünf", "sieben"]
    assert [(each.id, each.reason.split(" (")[0]) for each in found.skipped] == [
        ("line=2", "no translation"),
        ("line=4", "only a translation"),
        ("line=6", "no UTF-8"),
    ]
    assert len(list(found.entries())) == 6
    assert len(np.unique(batch.digest, axis=0)) == 3
    again = open_source(found.path, **found.options)
    assert next(again.batches(9, ids=["line=5"])).data["target"].tolist() == ["fünf"]
    with pytest.raises(StepwellError, match="'line=2': no translation"):
        list(open_source(source, target=target, strict=True).batches(2))


def test_files_may_have_any_name(tmp_path):
    (tmp_path / "a.en").write_text("one\ntwo\n")
    (tmp_path / "a.de").write_text("eins\nzwei\n")
    (batch,) = open_source(tmp_path / "a.en", target=str(tmp_path / "a.de")).batches(9)
    assert batch.data["target"].tolist() == ["eins", "zwei"]


def test_a_line_without_end_is_set_aside(tmp_path):
    source, target = files(tmp_path, [b"one", b"x" * 30_000], [b"eins", b"zwei"])
    found = open_source(source, target=target)
    assert sum(map(len, found.batches(9))) == 1
    assert "30,000 characters" in found.skipped[0].reason


def test_files_of_different_length_are_refused(tmp_path):
    source, target = files(tmp_path, [b"one", b"two"], [b"eins"])
    with pytest.raises(UsageError, match=r"as many lines in both files, found 2 in .* and 1 in"):
        open_source(source, target=target)


def test_what_is_no_file_of_lines_is_refused(tmp_path):
    source, target = files(tmp_path, [b"one"], [b"eins"])
    with pytest.raises(UsageError, match="found nothing at"):
        open_source(source, target=tmp_path / "b.de.gz")
    with pytest.raises(UsageError, match="two files of lines"):
        open_source(tmp_path, target=target)
    (tmp_path / "t.csv").write_text("text,label\na b,c\n")
    with pytest.raises(UsageError, match=r"two files of lines .*t\.csv"):
        open_source(source, target=tmp_path / "t.csv")
    (tmp_path / "b.txt").write_bytes(b"\0\1\2")
    with pytest.raises(StepwellError, match="binary file"):
        open_source(source, target=tmp_path / "b.txt")
