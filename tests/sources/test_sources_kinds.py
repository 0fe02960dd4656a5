"""What a path holds: by its content, by what is asked for, and a question where it is not clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from stepwell.interfaces import UsageError, concatenate
from stepwell.sources import FolderSource, TableSource, TextSource, TextTableSource, open_source
from stepwell.sources.facts import facts_of, lines_of

TEXTS = [f"a sentence of some words about thing {i}" for i in range(90)]


def pictures(folder: Path, count: int, stem: str = "p", kind: str = "PNG") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{stem}{i}.png", kind)
    return folder


def documents(folder: Path, count: int, stem: str = "d") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"{stem}{i}.md").write_text(TEXTS[i])
    return folder


def told(source):
    return {row["what"]: row["value"] for row in source.decisions}


def count(source):
    return sum(map(len, source.batches(16)))


def test_documents_that_show_pictures_are_documents(tmp_path):
    documents(tmp_path, 40)
    pictures(tmp_path / "img", 10)
    source = open_source(tmp_path)
    assert isinstance(source, TextSource)
    assert count(source) == 40
    assert facts_of(source)["passed_over"] == {".png, no text": 10}
    assert any("10 × .png, no text" in line for line in lines_of(facts_of(source)))
    assert count(open_source(tmp_path, kind="image")) == 10
    again = open_source(tmp_path, kind="image")
    assert count(open_source(tmp_path, **again.options)) == 10


def test_notes_beside_images_are_notes(tmp_path):
    pictures(tmp_path, 12)
    documents(tmp_path, 2)
    (tmp_path / "README.md").write_text("about these pictures of ours")
    source = open_source(tmp_path)
    assert isinstance(source, FolderSource)
    assert count(source) == 12
    assert source.passed == {".md, no image": 3}


def test_captions_beside_images_are_captions(tmp_path):
    pictures(tmp_path, 12)
    for i in range(12):
        (tmp_path / f"p{i}.txt").write_text(TEXTS[i])
    assert isinstance(open_source(tmp_path), FolderSource)


def test_where_both_could_be_meant_it_is_asked(tmp_path):
    documents(tmp_path, 20)
    pictures(tmp_path, 20)
    with pytest.raises(UsageError, match=r"20 images and 20 documents.*-o kind=image or -o kind=t"):
        open_source(tmp_path)
    assert count(open_source(tmp_path, kind="text")) == 20
    assert count(open_source(tmp_path, unit="document")) == 20
    with pytest.raises(UsageError, match="image or text"):
        open_source(tmp_path, kind="sound")


@pytest.mark.parametrize("name", ["data/train.parquet", "train.csv"])
def test_a_picture_hides_no_table(tmp_path, name):
    pictures(tmp_path, 2, "logo")
    (tmp_path / "README.md").write_text("about these texts of ours")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".csv":
        path.write_text("\n".join(["text,label", *(f"{t},a" for t in TEXTS)]))
    else:
        parquet.write_table(pa.table({"text": TEXTS}), path)
    source = open_source(tmp_path)
    assert source.kind == "text"
    assert count(source) == 90


@pytest.mark.parametrize("name", ["file_name", "id"])
def test_a_table_about_images_hides_no_image(tmp_path, name):
    pictures(tmp_path, 30)
    end = ".png" if name == "file_name" else ""
    rows = [f"p{i}{end},{TEXTS[i]}" for i in range(30)]
    (tmp_path / "metadata.csv").write_text("\n".join([f"{name},what_it_shows", *rows]))
    table = pa.table({name: [f"p{i}{end}" for i in range(30)], "text": TEXTS[:30]})
    parquet.write_table(table, tmp_path / "more.parquet")
    assert isinstance(open_source(tmp_path), FolderSource)


def test_files_that_are_called_otherwise_are_images_by_their_content(tmp_path):
    names = ["a", "b.jpg_large", "c.jpg?w=100", "d.image", "e.pjpeg", "f.mpo", "g.jpg"]
    for name, path in zip(names, sorted(pictures(tmp_path / "x", 7).iterdir()), strict=True):
        path.rename(tmp_path / name)
    (tmp_path / "x").rmdir()
    (tmp_path / "h.json").write_text("{}")
    (tmp_path / "i").write_text("no image")
    source = open_source(tmp_path)
    assert count(source) == 7
    assert source.passed == {".json, no image": 1, "no extension, no image": 1}
    assert count(open_source(tmp_path / "a")) == 1


def test_a_column_that_is_asked_for_says_what_it_holds(tmp_path):
    table = pa.table({"name": [f"Widget{i}" for i in range(9)], "price": range(9)})
    parquet.write_table(table, tmp_path / "t.parquet")
    source = open_source(tmp_path / "t.parquet", column="name")
    assert isinstance(source, TextTableSource)
    assert count(source) == 9
    with pytest.raises(UsageError, match="int64"):
        open_source(tmp_path / "t.parquet", column="price")
    with pytest.raises(UsageError, match="-o column=NAME"):
        open_source(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "kind",
    [
        "string",
        "large_string",
        "string_view",
        "binary",
        "large_binary",
        "binary_view",
        "dictionary",
    ],
)
def test_strings_of_every_type_of_arrow_are_texts(tmp_path, kind):
    some = pa.array(TEXTS).dictionary_encode() if kind == "dictionary" else pa.array(TEXTS)
    labels = pa.array(["a", "b"] * 45).dictionary_encode()
    made = some if kind in ("dictionary", "string") else some.cast(getattr(pa, kind)())
    table = pa.table({"what_was_said": made, "label": labels})
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), table.schema) as writer:
        writer.write_table(table)
    source = open_source(tmp_path / "t.arrow")
    assert count(source) == 90
    assert told(source)["column"] == "what_was_said"
    assert set(source.labels().values()) == {"a", "b"}


def test_texts_within_objects_are_found(tmp_path):
    rows = [
        {"id": i, "data": {"text": text}, "marks": [{"label": "ab"[i % 2]}]}
        for i, text in enumerate(TEXTS)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    source = open_source(tmp_path / "t.parquet")
    assert told(source) | {"kind": ""} == {
        "kind": "",
        "column": "data.text",
        "label": "marks.label",
    }
    assert concatenate(source.batches(90)).data["text"].tolist() == TEXTS
    assert set(source.labels().values()) == {"a", "b"}
    assert count(open_source(tmp_path / "t.parquet", **source.options)) == 90


def test_several_columns_are_joined(tmp_path):
    table = pa.table({"title": ["one"], "body": ["two three"]})
    parquet.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("Title,Body\none,two three\n")
    for name, column in (("t.parquet", "title,body"), ("t.csv", "title, Body")):
        (batch,) = open_source(tmp_path / name, column=column).batches(3)
        assert batch.data["text"].tolist() == ["one\ntwo three"]


def test_a_noted_text_is_no_image(tmp_path):
    note = b'{"info": {"features": {"text": {"_type": "Value", "dtype": "string"}}}}'
    table = pa.table({"text": TEXTS}).replace_schema_metadata({b"huggingface": note})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert count(open_source(tmp_path / "t.parquet")) == 90


def test_paths_out_of_the_folder_are_only_followed_where_that_is_asked_for(tmp_path):
    pictures(tmp_path / "secret", 3)
    (tmp_path / "data").mkdir()
    table = pa.table({"path": [str(tmp_path / "secret" / "p0.png"), "../secret/p1.png"]})
    parquet.write_table(table, tmp_path / "data" / "t.parquet")
    source = open_source(tmp_path / "data" / "t.parquet")
    assert count(source) == 0
    assert all("not below the table: -o anywhere=yes" in each.reason for each in source.skipped)
    assert len(source.skipped) == 2
    source = open_source(tmp_path / "data" / "t.parquet", anywhere=True)
    assert isinstance(source, TableSource)
    assert count(source) == 2


@pytest.mark.parametrize(
    "values", [[0, 1], [0.0, 1.0], [False, True], ["a", "b"], [b"a", b"b"], [None, 1.0]]
)
def test_labels_of_every_type_are_read(tmp_path, values):
    table = pa.table({"text": TEXTS, "label": values * 45})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = set(open_source(tmp_path / "t.parquet").labels().values())
    expected = {v.decode() if isinstance(v, bytes) else str(v) for v in values if v is not None}
    assert found == expected
