"""Texts in files as people have them."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from stepwell.contract import check_source
from stepwell.interfaces import StepwellError, UsageError, concatenate
from stepwell.sources import FolderSource, TextSource, open_source
from stepwell.sources.textfiles import format_of

LINES = ["the first line", "Zweite Zeile: größer", "第三行文字在这里", "a fourth 🙂 line"]


def texts(source):
    return [str(text) for text in concatenate(source.batches(3)).data["text"]]


def written(path, content):
    """As UTF-8, gzipped where the name says so."""
    raw = content if isinstance(content, bytes) else content.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "train.en.gz", "a.md"])
def test_lines_of_a_file(tmp_path, name):
    path = written(tmp_path / name, "\n".join([*LINES[:2], "", *LINES[2:], *LINES * 4]) + "\n")
    source = check_source(lambda: open_source(path))
    assert source.data["text"].tolist()[:4] == LINES
    assert source.ids[2] == f"{name}#line=4"  # the empty one is none


def test_paragraphs_where_empty_lines_part_them(tmp_path):
    path = written(tmp_path / "play.txt", "A:\nHear me.\n\nAll:\nSpeak!\n\n\nB:\nI will.")
    assert texts(open_source(path)) == ["A:\nHear me.", "All:\nSpeak!", "B:\nI will."]
    assert len(texts(open_source(path, unit="line"))) == 6
    assert texts(open_source(path, unit="document"))[0].startswith("A:\nHear")


def test_documents_of_a_folder_and_their_classes(tmp_path):
    for number in range(3):
        written(tmp_path / "good" / f"{number}.txt", f"a good\ntext {number}")
        written(tmp_path / "bad" / f"{number}.txt", f"a bad\ntext {number}")
    source = open_source(tmp_path)
    check_source(lambda: open_source(tmp_path))
    assert isinstance(source, TextSource)
    assert texts(source)[:1] == ["a bad\ntext 0"]
    assert source.labels() == {f"{c}/{n}.txt": c for c in ("bad", "good") for n in range(3)}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("name", ["r.tsv", "r.csv", "r.csv.gz", "r.jsonl"])
def test_columns_of_tables(tmp_path, name, header):
    rows = [("a film to see", "1"), ("no, not this one", "0")] * 12
    if "jsonl" in name:
        content = "\n".join(json.dumps({"stars": y, "body_of_it": x}) for x, y in rows)
        column, labels = "body_of_it", ["1", "0"]
    elif "tsv" in name:
        content = "\n".join([*(["review\tlabel"] if header else []), *map("\t".join, rows)])
        column, labels = ("review" if header else 0), ["1", "0"]
    else:
        lines = [f'"{x}",{y}' for x, y in rows]
        content = "\n".join([*(["sentence,label"] if header else []), *lines])
        column, labels = ("sentence" if header else 0), ["1", "0"]
    path = written(tmp_path / name, content)
    check_source(lambda: open_source(path))
    source = open_source(path)
    assert texts(source)[:2] == [rows[0][0], rows[1][0]]
    assert texts(open_source(path, column=column)) == texts(source)
    found = source.labels()
    assert (found and list(found.values())[:2]) == labels
    with pytest.raises(UsageError, match="Expected a column of"):
        open_source(path, column="nonsense")


def test_a_table_of_labels_is_no_text(tmp_path):
    headers = ["file,label", "id,label", "name,class", "path,target", "file,label,comment"]
    for header in [*headers, "name,label,title"]:
        row = "a photo of me.jpg,cat,he looks to the left\n"
        path = written(tmp_path / "labels.csv", f"{header}\n" + row * 9)
        assert not TextSource.accepts(path)
    assert TextSource.accepts(written(tmp_path / "t.csv", "id,label,text\n" + "7,1,a b c\n" * 9))
    documents = tmp_path / "documents"
    written(documents / "labels.csv", "file,label\n" + "a.txt,1\n" * 9)
    written(documents / "b.txt", "some words".encode("utf-16"))
    found = texts(open_source(written(documents / "a.txt", "words").parent))
    assert found == ["words", "some words"]
    written(tmp_path / "numbers.txt.gz", "1 2.5 3e-4\n" * 9)
    assert not TextSource.accepts(tmp_path / "numbers.txt.gz")


def test_a_table_whose_text_has_a_name_of_its_own_is_read(tmp_path):
    rows = [f"{i},a lovely and warm film {i},1\n" for i in range(9)]
    for header in ("id,review_body,sentiment", "id,tweet,label"):
        path = written(tmp_path / "t.csv", "".join([f"{header}\n", *rows]))
        assert texts(open_source(path))[0] == "a lovely and warm film 0"
    few = "".join(f"{i}.jpg,cat,Felis catus {i % 2}\n" for i in range(9))
    assert not TextSource.accepts(written(tmp_path / "n.csv", f"name,label,species\n{few}"))
    labels = written(tmp_path / "l.csv", "file,label,comment\n" + "a.jpg,cat,it sleeps here\n" * 9)
    assert texts(open_source(labels, column="comment"))[0] == "it sleeps here"
    with pytest.raises(UsageError, match="file, label, comment"):
        open_source(labels, column="commnt")


def test_rows_with_more_cells_than_columns_are_set_aside(tmp_path):
    rows = ["a film, warm and funny,1", "a dull film,0", "warm,1,,", "funny,1", '"dull, long",0']
    source = open_source(written(tmp_path / "t.csv", "\n".join(["text,label", *rows])))
    assert texts(source) == ["a dull film", "warm", "funny", "dull, long"]
    assert [(s.id, s.reason) for s in source.skipped] == [
        ("t.csv#row=1", "3 cells instead of 2: is its text quoted?")
    ]
    for header in ("text,label,note,note", "text,label,,", "text,label,,,"):
        wide = "\n".join([header, *["a dull film,0,x,y", "a warm film,1,,, "] * 4])
        source = open_source(written(tmp_path / "w.csv", wide))
        assert len(texts(source)) == 8
        assert not source.skipped
    source = open_source(written(tmp_path / "u.csv", "\n".join(rows[1:] * 3 + rows[:1])))
    assert len(texts(source)) == 12


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"", "an empty file"),
        ("a.csv", b"\n \n", "nothing but empty lines"),
        ("a.csv", "größer,ja\n".encode("latin-1") * 9, "no UTF-8.*encoding=cp1252"),
        ("a.txt", gzip.compress(b"some words"), r"call it \.gz"),
        ("a.txt", b"1 2 3\n", "numbers"),
        ("a.txt.gz", gzip.compress(b"some words" * 999)[:40], "Compressed file ended"),
        ("a.csv", b"file,label\na.jpg,cat\n", "-o column=NAME"),
        ("a.bin", b"some words", "a file of another kind"),
    ],
    ids=["empty", "blank", "latin-1", "gzip", "numbers", "cut", "labels", "other"],
)
def test_why_a_file_is_no_text_is_told(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=why):
        open_source(tmp_path / name)


def test_a_run_is_no_data(tmp_path):
    written(tmp_path / "run" / "config.toml", "")
    (tmp_path / "run" / "parts").mkdir()
    with pytest.raises(UsageError, match="found the run"):
        open_source(tmp_path / "run")


def test_images_with_a_note_beside_them_are_images(tmp_path, digits):
    written(tmp_path / "README.txt", "what this is")
    (tmp_path / "images").symlink_to(digits)
    assert isinstance(open_source(tmp_path), FolderSource)


def test_what_cannot_be_read_is_set_aside(tmp_path):
    long = "x" * 1_000_001
    parts = [b"fine here", "caf\u00e9".encode("latin-1"), long.encode(), b"", b"fine there", b"end"]
    source = open_source(written(tmp_path / "a.txt", b"\n".join(parts)), unit="line")
    assert texts(source) == ["fine here", "fine there", "end"]
    assert [each.id for each in source.skipped] == ["a.txt#line=2", "a.txt#line=3"]
    assert "UTF-8" in source.skipped[0].reason
    assert "1,000,001 characters" in source.skipped[1].reason
    with pytest.raises(StepwellError, match="no UTF-8"):
        list(open_source(tmp_path / "a.txt", unit="line", strict=True).batches(2))
    broken = written(tmp_path / "b.jsonl", '{"text": "one two"}\n{"text": \n[1]\n{"text": ""}\n')
    source = open_source(broken)
    assert texts(source) == ["one two"]
    assert [each.reason for each in source.skipped] == ["no JSON", "no JSON object", "no text"]


def test_no_more_is_read_than_is_asked_for(tmp_path):
    path = written(tmp_path / "a.txt", b"one\ntwo\nthree\nfour\n\xff\n")
    batches = TextSource(path, strict=True).batches(2)
    assert [len(next(batches)), len(next(batches))] == [2, 2]
    with pytest.raises(StepwellError, match="no UTF-8"):
        next(batches)


def test_damaged_and_binary_files_are_errors(tmp_path):
    whole = written(tmp_path / "a.txt.gz", "a line of words\n" * 4000).read_bytes()
    source = open_source(tmp_path / "a.txt.gz")
    (tmp_path / "a.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StepwellError, match="whole file"):
        list(source.batches(100))
    written(tmp_path / "b.txt", bytes(range(256)) * 9)
    with pytest.raises(UsageError, match="a binary file"):
        open_source(tmp_path / "b.txt")
    written(tmp_path / "c.txt", "")
    with pytest.raises(UsageError, match="unit of line"):
        TextSource(tmp_path / "c.txt", unit="page")


def test_tables_as_programs_write_them(tmp_path):
    windows = '\ufefftext,label\r\n"two\r\nlines, here",1\r\n\r\nplain and ragged\r\n'
    assert texts(open_source(written(tmp_path / "w.csv", windows))) == [
        "two\nlines, here",
        "plain and ragged",
    ]
    old = written(tmp_path / "o.csv", "text,label\rone two,1\rthree four,0\r")
    assert texts(open_source(old)) == ["one two", "three four"]
    stray = written(tmp_path / "s.tsv", "a b\rc d\t1\ne f\t0\n" * 9)
    assert texts(open_source(stray))[:2] == ["a b c d", "e f"]
    named = written(tmp_path / "n.csv", "Tweet,Airline\nso late again,X\nnice crew,Y\n")
    assert texts(open_source(named, column="Tweet")) == ["so late again", "nice crew"]
    odd = written(tmp_path / "o.jsonl", '{}\n{"text": null}\n{"text": "one two"}\n' * 3)
    assert texts(open_source(odd)) == ["one two"] * 3
    with pytest.raises(UsageError, match="column of text"):
        TextSource(written(tmp_path / "e.jsonl", "{}\n"))


def test_formats_by_name():
    names = {"a.txt": "plain", "a.TSV": "tsv", "b.jsonl.gz": "jsonl", "train.de.gz": "plain"}
    names |= {"a.tar.gz": "", "a.npy": "", "x.parquet": "", "noext": "", "a.csv.gz": "csv"}
    assert {name: format_of(name) for name in names} == names


def test_texts_in_memory():
    check_source(lambda: open_source(LINES))
    assert texts(open_source(tuple(LINES))) == texts(open_source(np.array(LINES))) == LINES
    with pytest.raises(UsageError, match="found int in row 1"):
        open_source(["one", 2])
