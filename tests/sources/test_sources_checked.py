"""Tables are looked through by a process of its own: isolated, bounded, many at once."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from stepwell.interfaces import StepwellError
from stepwell.sources import checked, open_source, tablecheck
from stepwell.sources.pages import shape_of
from stepwell.sources.tablereader import Table

WORDS = pa.table({"text": [f"some words that are here {i}" for i in range(40)]})


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(checked, "_known", {})


def arrow(path: Path, table: pa.Table = WORDS, **options: object) -> Path:
    with pa.ipc.new_file(str(path), table.schema, **options) as writer:
        writer.write_table(table)
    return path


def read(path: Path) -> int:
    return sum(map(len, open_source(path).batches(16)))


def test_nothing_is_taken_from_the_folder_one_is_in(tmp_path, monkeypatch):
    for name in ("pyarrow", "resource", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    arrow(tmp_path / "a.arrow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert read(Path("a.arrow")) == 40


@pytest.mark.parametrize("name", ["a.arrow", "a.parquet"])
def test_a_file_is_looked_through_once_as_long_as_it_stays_as_it_is(tmp_path, monkeypatch, name):
    calls = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    path = tmp_path / name
    write = arrow if name == "a.arrow" else lambda path: parquet.write_table(WORDS, path)
    write(path)
    assert read(path) == 40
    assert read(path) == 40
    assert len(calls) == 1
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StepwellError, match="download or write it again"):
        read(path)
    assert len(calls) == 2


def test_one_process_for_many_and_the_one_that_ends_it_is_named(tmp_path, monkeypatch):
    script = tmp_path / "check.py"
    script.write_text(
        "import json, os, sys\n"
        "for path in json.load(sys.stdin):\n"
        "    os.path.basename(path) == 'c.arrow' and os.abort()\n"
        "    print(json.dumps(''), flush=True)\n"
    )
    monkeypatch.setattr(tablecheck, "__file__", str(script))
    files = [arrow(tmp_path / f"{letter}.arrow") for letter in "abcde"]
    with pytest.raises(StepwellError, match=r"c\.arrow, found one that can't be read \(damaged"):
        checked.check_tables(files)
    assert [bool(why) for why in checked._known.values()] == [False, False, True, False, False]


def test_without_a_process_the_same_is_found_here(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/usr/bin/some-program")
    arrow(tmp_path / "a.arrow")
    with pytest.warns(RuntimeWarning, match="without a process of their own"):
        assert read(tmp_path / "a.arrow") == 40
    raw = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "b.arrow").write_bytes(raw[:200])
    with (
        pytest.warns(RuntimeWarning, match="without a process"),
        pytest.raises(StepwellError, match="download or write it"),
    ):
        read(tmp_path / "b.arrow")


def test_a_process_that_never_ends_is_ended(tmp_path, monkeypatch):
    script = tmp_path / "check.py"
    script.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(tablecheck, "__file__", str(script))
    monkeypatch.setattr(checked, "WAIT_S", 0.5)
    with pytest.raises(StepwellError, match="too long"):
        read(arrow(tmp_path / "a.arrow"))


@pytest.mark.parametrize("name", ["a.arrow", "a.parquet"])
def test_rows_that_take_no_space_have_an_end(tmp_path, name):
    table = pa.table({"text": pa.nulls(30_000_000), "label": pa.nulls(30_000_000)})
    if name == "a.arrow":
        arrow(tmp_path / name, table)
    else:
        parquet.write_table(table, tmp_path / name)
    with pytest.raises(StepwellError, match=r"30,000,000 rows in"):
        Table(tmp_path / name).rows()


@pytest.mark.slow
def test_a_batch_that_unpacks_to_gigabytes_is_refused(tmp_path):
    zeros = pa.table({"image": pa.array([bytes(2**28)] * 6)})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    arrow(tmp_path / "a.arrow", zeros, options=options)
    del zeros
    with pytest.raises(StepwellError, match=r"can't be read"):
        open_source(tmp_path / "a.arrow")


def test_a_text_that_is_no_unicode_costs_its_row_in_arrow_too(tmp_path):
    some = [b"some words here", b"some \xff\xfe more", b"and others again"] * 5
    arrow(tmp_path / "a.arrow", pa.table({"text": pa.array(some).view(pa.string())}))
    source = open_source(tmp_path / "a.arrow")
    assert sum(map(len, source.batches(4))) == 10
    assert len(source.skipped) == 5


def varint(value: int, width: int = 0) -> bytes:
    value, out = value << 1, bytearray()
    while value or len(out) < max(width, 1):
        out.append((value & 127) | 128)
        value >>= 7
    out[-1] &= 127
    return bytes(out)


@pytest.mark.parametrize("lies", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_cells_of_a_dictionary_are_held_once_whatever_the_footer_says(tmp_path, nested, lies):
    """A cell of 24 MB that stands in 128 rows: 3 GB, were each row to hold it."""
    column = pa.array([bytes(24_000_000)]).dictionary_encode().take(pa.array([0] * 128))
    if nested:
        column = pa.StructArray.from_arrays([column], ["bytes"])
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"image": column}), path, compression="zstd", store_schema=False)
    whole = parquet.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    if lies:
        raw = path.read_bytes()
        footer = len(raw) - 8 - struct.unpack("<I", raw[-8:-4])[0]
        told = varint(whole)
        changed = raw[footer:].replace(told, varint(1000, len(told)))
        assert changed != raw[footer:]
        path.write_bytes(raw[:footer] + changed)
    sizes = [(len(array), array.nbytes) for array in Table(path).batches("image")]
    assert sum(rows for rows, _ in sizes) == 128
    assert max(taken for _, taken in sizes) < 150_000_000


@pytest.mark.slow
def test_a_page_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pa.table({"image": [bytes(600_000_000)]}), path, compression="zstd", use_dictionary=False
    )
    with pytest.raises(StepwellError, match=r"a page unpacks to 600 MB"):
        list(Table(path).batches("image"))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", ""])
def test_pages_are_found_however_they_are_written(tmp_path, version, encoding):
    rows = [f"a rather long text that shares its beginning, number {i}" for i in range(5000)]
    table = pa.table({"text": rows, "list": [[i, i] for i in range(5000)]})
    options = {"column_encoding": {"text": encoding}} if encoding else {}
    path = tmp_path / "a.parquet"
    parquet.write_table(
        table,
        path,
        use_dictionary=False if encoding else ["text"],
        data_page_version=version,
        data_page_size=4096,
        write_page_index=True,
        write_page_checksum=True,
        row_group_size=2000,
        **options,
    )
    shape = shape_of(path, parquet.ParquetFile(path).metadata, "text")
    assert (shape.dictionary > 0) == (not encoding)
    assert (shape.prefixed > 0) == (encoding == "DELTA_BYTE_ARRAY")
    assert shape.plain == (encoding == "PLAIN")
    shape_of(path, parquet.ParquetFile(path).metadata, "list")
    found = [text for array in Table(path).batches("text") for text in array.to_pylist()]
    assert found == rows


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("limit", [2**20, 2**30], ids=["some written out", "all in dictionaries"])
def test_large_dictionaries_in_several_parts(tmp_path, nested, limit):
    draw = np.random.default_rng(0)
    cells = [draw.bytes(200_000) for _ in range(40)] * 3
    cells[7] = None
    column = pa.array([{"bytes": c} for c in cells]) if nested else pa.array(cells)
    path = tmp_path / "a.parquet"
    options = {"row_group_size": 50, "dictionary_pagesize_limit": limit, "data_page_size": 10**6}
    parquet.write_table(pa.table({"image": column}), path, write_batch_size=10, **options)
    found = [cell for array in Table(path).batches("image") for cell in array.to_pylist()]
    assert found == column.to_pylist()


def test_columns_are_told_apart_by_their_whole_path(tmp_path):
    table = pa.table({"a": [{"b": "x"}], "a.b": ["y"], "ab": ["z"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    for name in table.column_names:
        (array,) = Table(tmp_path / "a.parquet").batches(name)
        assert array.to_pylist() == table[name].to_pylist()


def test_numbers_in_lists_and_fixed_cells_are_read(tmp_path):
    cells = pa.array([bytes([i]) * 2000 for i in range(50)], pa.binary(2000))
    values = pa.array([np.arange(3).tolist()] * 50)
    parquet.write_table(pa.table({"fixed": cells, "many": values}), tmp_path / "a.parquet")
    for name, wanted in (("fixed", cells), ("many", values)):
        arrays = Table(tmp_path / "a.parquet").batches(name)
        assert [cell for array in arrays for cell in array.to_pylist()] == wanted.to_pylist()
