"""Tables: the column of images is found, rows stream, classes have their names."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources import open_source

NOTES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    colours = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    Image.fromarray(colours).save(buffer, "PNG")
    return buffer.getvalue()


def table(n: int = 10, start: int = 0, noted: bool = True) -> pa.Table:
    cells = [{"bytes": png(start + i), "path": None} for i in range(n)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    made = pa.table({"label": [i % 2 for i in range(n)], "image": pa.array(cells, kind)})
    notes = {"huggingface": json.dumps({"info": {"features": NOTES}})}
    return made.replace_schema_metadata(notes) if noted else made


def write(made: pa.Table, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(made, path, row_group_size=4)
    elif path.suffix == ".feather":
        feather.write_feather(made, path)
    else:
        new = pa.ipc.new_stream if path.suffix == ".arrow" else pa.ipc.new_file
        with new(str(path), made.schema) as writer:
            writer.write_table(made, max_chunksize=4)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.ipc", "t.feather"])
def test_kinds_of_files_agree(name, tmp_path, read_all):
    write(table(), tmp_path / name)
    source = open_source(tmp_path / name)
    batch = read_all(source, 3)
    assert list(batch.ids) == [f"{name}#row={row}" for row in range(10)]
    assert [id for id, _ in source.entries()] == list(batch.ids)
    assert source.labels()[f"{name}#row=1"] == "dog"
    assert source.options == {"canvas": 12, "column": "image"}
    folder = tmp_path / "f"
    folder.mkdir()
    for i in range(10):
        (folder / f"{i}.png").write_bytes(png(i))
    expected = read_all(folder)
    np.testing.assert_array_equal(batch.data["image"], expected.data["image"])
    np.testing.assert_array_equal(batch.digest, expected.digest)


def test_a_saved_dataset(tmp_path, read_all):
    plain = table(6, noted=False)
    write(plain.slice(0, 3), tmp_path / "data-00000-of-00002.arrow")
    write(plain.slice(3), tmp_path / "data-00001-of-00002.arrow")
    write(plain, tmp_path / "cache-0123.arrow")
    files = [{"filename": f"data-0000{i}-of-00002.arrow"} for i in range(2)]
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": files}))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": NOTES}))
    source = open_source(tmp_path)
    batch = read_all(source)
    assert list(batch.ids)[3] == "data-00001-of-00002.arrow#row=0"
    assert len(batch) == 6
    assert set(source.labels().values()) == {"cat", "dog"}


@pytest.mark.parametrize("layout", ["{}/data-00000-of-00001.arrow", "data/{}-00000.parquet"])
def test_splits(layout, tmp_path, read_all):
    for split, n in (("train", 7), ("test", 3)):
        write(table(n), tmp_path / layout.format(split))
    train, test = open_source(tmp_path), open_source(tmp_path, split="test")
    assert len(read_all(train)) == 7
    assert train.options["split"] == "train"
    assert len(read_all(test)) == 3
    assert not set(read_all(train).ids) & set(read_all(test).ids)
    with pytest.raises(UsageError, match=r"'tests'.*Did you mean 'test'"):
        open_source(tmp_path, split="tests")


def test_ids_read_only_these_rows(tmp_path, read_all):
    write(table(), tmp_path / "t.parquet")
    some = read_all(tmp_path / "t.parquet", ids={"t.parquet#row=9", "t.parquet#row=2"})
    np.testing.assert_array_equal(some.digest, read_all(tmp_path / "t.parquet").digest[[2, 9]])


def test_bytes_paths_and_broken_cells(tmp_path, read_all):
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.png").write_bytes(png(1))
    made = pa.table({"photo": [png(0), None, b"words"], "id": [1, 2, 3]})
    write(made, tmp_path / "bytes.parquet")
    source = open_source(tmp_path / "bytes.parquet")
    assert list(read_all(source).ids) == ["bytes.parquet#row=0"]
    assert {s.id[-1]: s.reason for s in source.skipped} == {
        "1": "an empty cell",
        "2": "not an image: the content is text",
    }
    write(pa.table({"file": ["img/a.png", "gone.png"]}), tmp_path / "paths.parquet")
    source = open_source(tmp_path / "paths.parquet")
    np.testing.assert_array_equal(
        read_all(source).data["image"][0], np.asarray(Image.open(tmp_path / "img" / "a.png"))
    )
    assert "gone" in source.skipped[0].reason


def test_a_table_beside_images_is_not_the_source(photos):
    write(table(), photos / "labels.parquet")
    assert type(open_source(photos)).__name__ == "FolderSource"


def test_tables_without_images(tmp_path):
    write(pa.table({"age": [1, 2], "word": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=r"column of images.*'word'|column of images"):
        open_source(tmp_path / "t.parquet")
    write(table(), tmp_path / "i.parquet")
    with pytest.raises(UsageError, match=r"Did you mean 'image'"):
        open_source(tmp_path / "i.parquet", column="imag")
    with pytest.raises(UsageError, match="int64"):
        open_source(tmp_path / "i.parquet", column="label")


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_damaged_tables(name, tmp_path):
    (tmp_path / name).write_bytes(b"no table at all, but long enough to look at")
    with pytest.raises(StepwellError, match="download or write it again"):
        open_source(tmp_path / name)
