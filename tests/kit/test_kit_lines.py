"""Lines as systems and programs end and encode them."""

from __future__ import annotations

import gzip

import pytest

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit import lines as lines_module
from stepwell.kit.lines import Writing, lines_of

LINES = [
    "one line",
    "Größe: 3 €",
    "",
    "第三行文字",
    "with \u2028 and \x0b and \x0c and \x85 inside",
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
@pytest.mark.parametrize("last", [True, False])
def test_lines_end_where_they_do_in_every_encoding(tmp_path, end, encoding, last):
    content = end.join(LINES * 20) + (end if last else "")
    (tmp_path / "a.txt").write_bytes(content.encode(encoding))
    assert [line for line, why in lines_of(tmp_path / "a.txt") if not why] == LINES * 20


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift-jis", "gb18030", "koi8-r"])
def test_other_encodings_are_read_where_they_are_named(tmp_path, encoding):
    texts = {"shift-jis": "電池は二日", "gb18030": "电池两天", "koi8-r": "батарея"}
    text = texts.get(encoding, "größer")
    path = tmp_path / "a.txt"
    path.write_bytes("\n".join([text, "plain"]).encode(encoding))
    assert [line for line, _ in lines_of(path, encoding)] == [text, "plain"]
    problems = [why for _, why in lines_of(path)]
    assert problems[0].startswith("no UTF-8")
    assert problems[1] == ""
    with pytest.raises(UsageError, match="Expected an encoding"):
        list(lines_of(path, "utf-9"))
    with pytest.raises(UsageError, match="Expected an encoding"):
        list(lines_of(path, "hex"))


def test_a_named_utf_16_is_that_of_its_mark(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("some words".encode("utf-16"))
    for name in ("utf-16", "UTF-16LE"):
        assert [line for line, _ in lines_of(path, name)] == ["some words"]


def test_zero_bytes_elsewhere_are_no_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(StepwellError, match="binary"):
        list(lines_of(path))


def test_one_wrong_line_costs_itself(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\ncaf\xe9\nfine too\r\nend")
    found = [*lines_of(path)]
    assert [line for line, why in found if not why] == ["fine", "fine too", "end"]
    assert found[1][1] == "no UTF-8 (byte 4)"


def test_a_line_without_end_is_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_module, "LINE_BYTES", 2**20)
    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"first\n")
        for _ in range(40):
            file.write(b"word and " * 10_000)
        file.write(b"\nlast\n")
    found = [*lines_of(path)]
    assert [line for line, why in found if not why] == ["first", "last"]
    ((beginning, why),) = [each for each in found if each[1]]
    assert why == "a line of more than 1 MB"
    assert len(beginning) <= 1000


def test_how_a_file_is_written(tmp_path):
    path = tmp_path / "mac"
    path.write_bytes(b'a,b\r"two\nlines",c\rd,e\r')
    assert Writing.of(path) == ("utf-8", 0, "\r")
    path.write_bytes(b"a\rb\nc\n")
    assert Writing.of(path).end == "\n"
