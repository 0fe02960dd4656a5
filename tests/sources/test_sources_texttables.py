"""Texts in Parquet and Arrow: which column, which rows, and what stays a table of images."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from stepwell.interfaces import UsageError
from stepwell.sources import TableSource, TextTableSource, open_source

TEXTS = ["a fine film", "größer als alles", None, "  ", "dull and slow"]


def test_rows_are_texts_and_empty_ones_are_set_aside(tmp_path):
    table = pa.table({"id": [5, 6, 7, 8, 9], "review": TEXTS, "label": ["a", "b", "a", "b", None]})
    parquet.write_table(table, tmp_path / "r.parquet", row_group_size=2)
    source = open_source(tmp_path / "r.parquet")
    assert isinstance(source, TextTableSource)
    (batch,) = source.batches(9)
    assert batch.data["text"].tolist() == ["a fine film", "größer als alles", "dull and slow"]
    assert [(each.id, each.reason) for each in source.skipped] == [
        ("r.parquet#row=2", "no text"),
        ("r.parquet#row=3", "no text"),
    ]
    assert source.labels()["r.parquet#row=1"] == "b"
    again = open_source(source.path, **source.options)
    assert next(again.batches(9, ids=["r.parquet#row=4"])).data["text"].tolist() == [TEXTS[4]]
    with pytest.raises(UsageError, match=r"found 'reveiw'.*review"):
        open_source(tmp_path / "r.parquet", column="reveiw")


def test_a_saved_dataset_with_classes(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    table = pa.table({"words": ["one two three", "four five six"], "label": [1, 0]})
    with (
        pa.OSFile(str(folder / "data.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)
    noted = {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": noted}))
    source = open_source(tmp_path)
    assert source.options["column"] == "words"
    assert sorted(source.labels().values()) == ["bad", "good"]


def test_images_and_numbers_are_left_to_others(tmp_path):
    pictures = pa.table({"image": [b"\x89PNG"], "text": ["a caption of it"]})
    parquet.write_table(pictures, tmp_path / "i.parquet")
    assert not TextTableSource.accepts(tmp_path / "i.parquet")
    assert TableSource.accepts(tmp_path / "i.parquet")
    parquet.write_table(pa.table({"x": [1.0]}), tmp_path / "n.parquet")
    assert not TextTableSource.accepts(tmp_path / "n.parquet")
    (tmp_path / "b.parquet").write_bytes(b"none")
    assert not TextTableSource.accepts(tmp_path / "b.parquet")
