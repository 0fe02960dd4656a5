"""Tables of runs: what is there is read, what stands for far more is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from stepwell.kit.rowfiles import read_rows, texts_of

KINDS = {"id": "string", "n": "int64"}


def written(path, table, **options):
    parquet.write_table(table, path, **options)
    return path


def test_a_table_comes_back(tmp_path):
    ids = [f"a/{i % 50}.png" for i in range(30_000)]
    table = pa.table({"id": ids, "n": np.arange(30_000), "more": np.zeros(30_000)})
    path = written(tmp_path / "a", table.replace_schema_metadata({"x": "y"}), row_group_size=999)
    found = read_rows(path, KINDS)
    assert texts_of(found["id"]) == ids
    assert found["n"].to_pylist() == list(range(30_000))
    assert found.schema.metadata == {b"x": b"y"}


def test_a_table_without_rows(tmp_path):
    none = pa.table({"id": pa.array([], pa.string()), "n": pa.array([], pa.int64())})
    found = read_rows(written(tmp_path / "a", none), KINDS)
    assert len(found) == 0
    assert texts_of(found["id"]) == []


@pytest.mark.parametrize(
    "table",
    [
        {"n": [1]},
        {"id": ["a"]},
        {"id": [1], "n": [1]},
        {"id": ["a"], "n": [1.5]},
        {"id": ["a", None], "n": [1, 2]},
        {"id": [["a"]], "n": [1]},
    ],
)
def test_other_columns_are_refused(tmp_path, table):
    with pytest.raises(ValueError, match=r"."):
        read_rows(written(tmp_path / "a", pa.table(table)), KINDS)


def test_a_small_file_of_very_many_rows_is_refused(tmp_path):
    nothing = pa.chunked_array([pa.nulls(10**6, pa.string())] * 20)
    path = written(tmp_path / "a", pa.table({"id": nothing, "n": pa.nulls(2 * 10**7, pa.int64())}))
    assert path.stat().st_size < 10**6
    with pytest.raises(ValueError, match="rows in"):
        read_rows(path, KINDS)


def test_one_long_name_does_not_make_room_for_as_long_ones_everywhere(tmp_path):
    ids = ["x" * 10**6, *(str(i) for i in range(5000))]
    found = read_rows(written(tmp_path / "a", pa.table({"id": ids, "n": range(5001)})), KINDS)
    with pytest.raises(ValueError, match="as names"):
        texts_of(found["id"])


def test_a_long_text_that_comes_often_is_refused(tmp_path):
    word = pa.DictionaryArray.from_arrays(np.zeros(10**5, np.int32), pa.array(["x" * 10**6]))
    table = pa.table({"id": word.cast(pa.dictionary(pa.int32(), pa.string())), "n": range(10**5)})
    path = tmp_path / "a"
    with parquet.ParquetWriter(
        path, pa.schema([("id", table["id"].type), ("n", pa.int64())])
    ) as out:
        out.write_table(table)
    with pytest.raises(ValueError, match=r"."):
        texts_of(read_rows(path, KINDS)["id"])
