"""Splits by what is noted, by folders, and by names of files."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from stepwell.interfaces import UsageError
from stepwell.sources import open_source
from stepwell.sources.splits import split_of_tables


def splits(tmp_path, *ids):
    found = {}
    for wanted in ("train", "test", "train_sft", "train_gen", "data", "validation"):
        try:
            found[wanted] = split_of_tables(tmp_path, ids, wanted)[1]
        except UsageError:
            continue
    return found


def test_names_of_any_kind_are_splits_where_they_are_numbered(tmp_path):
    ids = [f"{name}-00000-of-00001.parquet" for name in ("train_sft", "test_sft", "train_gen")]
    assert splits(tmp_path, *ids) == {"train_sft": [ids[0]], "train_gen": [ids[2]]}
    with pytest.raises(UsageError, match=r"found test_sft, train_gen, train_sft.*-o split="):
        split_of_tables(tmp_path, ids, None)


def test_noted_splits_are_folders(tmp_path):
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train_sft", "data"]}))
    ids = ["train_sft/data-00000-of-00001.arrow", "data/data-00000-of-00001.arrow"]
    assert splits(tmp_path, *ids) == {"train_sft": [ids[0]], "data": [ids[1]]}


def test_shards_of_one_split_are_one(tmp_path):
    ids = ["train-0.csv", "train-1.csv", "test.csv", "train_2.csv"]
    assert splits(tmp_path, *ids)["train"] == [ids[0], ids[1], ids[3]]
    assert split_of_tables(tmp_path, ids, None)[0] == "train"
    only = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    assert split_of_tables(tmp_path, only, None) == (None, only)
    assert split_of_tables(tmp_path, ["train_reviews.csv", "test_reviews.csv"], None)[0] == "train"


def test_a_table_for_testing_is_not_learned_from(tmp_path):
    for name, count in (("train", 9), ("test", 3)):
        rows = [f"a text of some words {i},a" for i in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    source = open_source(tmp_path)
    assert sum(map(len, source.batches(4))) == 9
    assert source.passed == {"of another split": 1}
    assert {"what": "split", "value": "train", "why": "of several tables"} in source.decisions
    assert sum(map(len, open_source(tmp_path, split="test").batches(4))) == 3
    again = open_source(tmp_path, split="test")
    assert sum(map(len, open_source(tmp_path, **again.options).batches(4))) == 3


def test_a_file_has_no_splits(tmp_path):
    parquet.write_table(pa.table({"text": ["a b c"]}), tmp_path / "t.parquet")
    with pytest.raises(UsageError, match="leave it out"):
        open_source(tmp_path / "t.parquet", split="train")
