"""Files that claim more than they hold, or hold more than anyone wants: an error, and soon."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import lzma
import os
import resource
import struct
import sys
import tarfile
import warnings
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image, PngImagePlugin

from stepwell.interfaces import StepwellError
from stepwell.sources import open_source


def png(seed=0, side=12, **options):
    held = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(held, "PNG", **options)
    return held.getvalue()


def count(path, **options):
    source = open_source(path, **options)
    return sum(map(len, source.batches(16))), source


def npy(shape, data, order=False):
    told = f"{{'descr': '|u1', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    told = told.ljust((len(told) + 11 + 63) // 64 * 64 - 11) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(told)) + told + data


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(2**32 - 1, 8, 8), (2**31, 2**31, 2**31, 4), (2, 2**31, 2**31)])
def test_idx_files_that_claim_more(tmp_path, shape, packed):
    raw = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(6400)
    path = tmp_path / f"train-images-idx{len(shape)}-ubyte"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    with pytest.raises(StepwellError, match=r"Expected \d+ images .* found about"):
        count(path)


@pytest.mark.parametrize("shape", [(10**12, 8, 8), (100, 10**6, 10**6), (2**62, 8, 8)])
@pytest.mark.parametrize("order", [False, True])
def test_numpy_files_that_claim_more(tmp_path, shape, order):
    (tmp_path / "a.npy").write_bytes(npy(shape, bytes(6400), order))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", npy(shape, bytes(6400), order))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(StepwellError, match="Expected"):
            count(tmp_path / name)


@pytest.mark.parametrize(
    "header", [b"{'descr': '|u1', 'shape': (3,\n", b"[" * 5000, b"\xff\xfe", b"{}", b"1"]
)
def test_numpy_files_whose_header_is_none(tmp_path, header):
    raw = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(100)
    (tmp_path / "a.npy").write_bytes(raw)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", raw)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(StepwellError, match="Expected"):
            count(tmp_path / name)


def member(name, size, kind, negative=False):
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:124] = b"0000644\0", b"0000000\0" * 2
    block[124:136] = b"\xff" * 4 + struct.pack(">q", size) if negative else b"%011o\0" % size
    block[136:148], block[156:157], block[257:265] = b"00000000000\0", kind, b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_headers_of_gigabytes_in_a_tar(tmp_path, kind):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(member(b"a", 3 * 2**30, kind) + bytes(2**20)))
    with pytest.raises(StepwellError, match="a header of 3,221,225,472 bytes"):
        count(path)


def test_a_negative_size_in_a_tar_ends_it(tmp_path):
    whole = png() + bytes(-len(png()) % 512)
    good = b"".join(member(b"a%d.png" % i, len(png()), b"0") + whole for i in range(9))
    (tmp_path / "a.tar").write_bytes(good + member(b"z.png", -1024, b"0", True) + bytes(1024))
    read, source = count(tmp_path / "a.tar")
    assert read == 9
    assert "damaged after 9 images" in source.skipped[-1].reason


def test_an_xz_that_asks_for_memory(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**20}]
    raw = bytearray(lzma.compress(bytes(10_240), lzma.FORMAT_XZ, filters=filters))
    at = raw.index(b"\x21\x01", 12) + 2
    raw[at] = 40  # a dictionary of 4 GB
    size = (raw[12] + 1) * 4
    raw[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(bytes(raw[12 : 12 + size - 4])))
    (tmp_path / "a.tar.xz").write_bytes(bytes(raw))
    with pytest.raises(StepwellError, match="can't be opened"):
        count(tmp_path / "a.tar.xz")


def test_names_in_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(9):
            file.writestr(f"cats\\{i}.png", png(i))
        file.writestr("cats/0.png", png(20))
        file.writestr("x" * 4000 + ".png", png(21))
        file.writestr("scraped", png(22))
        file.writestr("notes", "no image")
    read, source = count(tmp_path / "a.zip")
    assert read == 10
    assert sum("a name of 4,004 characters" in each.reason for each in source.skipped) == 1
    assert next(id for id, _ in source.entries()) == "cats/0.png"
    assert source.passed["no extension, no image"] == 1
    assert source.passed["another file of a name that comes later"] == 1
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, content in (("scraped", png()), ("notes", b"no image"), ("a.png", png(1))):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    read, source = count(tmp_path / "a.tar.gz")
    assert read == 2
    assert source.passed == {"no extension, no image": 1}


def chunked(width, height, bits, kind):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def test_pictures_of_more_pixels_than_memory_is_taken_for(tmp_path):
    (tmp_path / "a.png").write_bytes(chunked(14_000, 14_000, 8, 6))
    (tmp_path / "b.png").write_bytes(chunked(2**31 - 1, 2**31 - 1, 8, 6))
    for i in range(3):
        (tmp_path / f"c{i}.png").write_bytes(png(i))
    read, source = count(tmp_path)
    assert read == 3
    assert all("too large" in each.reason for each in source.skipped)


@pytest.mark.parametrize("zipped", [True, False])
def test_notes_cost_no_picture(tmp_path, zipped):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "x" * 3_000_000, zip=zipped)
    notes.add_itxt("more", "y" * 3_000_000, zip=zipped)
    (tmp_path / "a.png").write_bytes(png(pnginfo=notes))
    (tmp_path / "b.png").write_bytes(png())
    read, source = count(tmp_path)
    assert read == 2
    (batch,) = source.batches(2)
    np.testing.assert_array_equal(*batch.data["image"])


def tiff(bands, bits, planar=1, packed=1):
    tags = [
        (256, 4, 8),
        (257, 4, 8),
        (258, 3, bits),
        (259, 3, packed),
        (277, 3, bands),
        (284, 3, planar),
    ]
    found = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return found + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags) + bytes(4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(5, 8), r"a TIFF in a layout that can't be read here \(5 bands of 8 bit\)"),
        (tiff(7, 16, 2, 50000), r"7 bands of 16 bit, one after the other, packed by Zstandard"),
        (b"%PDF-1.4\n", "a PDF document"),
        (bytes(128) + b"DICM" + b"x" * 20, "a DICOM file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file"),
        (b"\xff\x0a" + b"\x81" * 30, "a JPEG XL image"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC image"),
        (b"PK\x03\x04" + bytes(30), "a zip archive"),
        (b"\x93\x81\x02\xff" * 9, "not an image, or damaged at its very beginning"),
    ],
)
def test_what_pillow_lacks_is_named(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / "b.png").write_bytes(png())
    _, source = count(tmp_path)
    assert len(source.skipped) == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(source.skipped[0].reason)


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_tables_of_arrow_that_end_the_process_that_reads_them(tmp_path, kind):
    table = pa.table({"text": [f"some words {i}" for i in range(200)]})
    path = tmp_path / "a.arrow"
    made = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with made(str(path), table.schema) as writer:
        writer.write_table(table)
    whole = path.read_bytes()
    assert count(path)[0] == 200
    lengths = [at for at in range(0, len(whole) - 4, 4) if whole[at : at + 4] == b"\x0c\0\0\0"]
    assert lengths
    for at in lengths[:3]:  # in this process it would be the end of the tests
        path.write_bytes(whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :])
        with contextlib.suppress(StepwellError):
            count(path)
    path.write_bytes(whole[:300])
    with pytest.raises(StepwellError, match="download or write it"):
        count(path)


def test_strings_that_are_no_unicode_cost_their_row(tmp_path):
    texts = pa.array([b"some words here", b"some \xff\xfe more", b"and others again"] * 5).view(
        pa.string()
    )
    parquet.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    read, source = count(tmp_path / "a.parquet")
    assert (read, len(source.skipped)) == (10, 5)


def test_a_cell_that_stands_in_many_rows_is_held_once(tmp_path):
    words = "word " * 4_000_000  # 20 MB
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 64, pa.int32()), pa.array([words]))
    parquet.write_table(pa.table({"text": column}), tmp_path / "a.parquet", store_schema=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read, source = count(tmp_path / "a.parquet")
    assert (read, len(source.skipped)) == (0, 64)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 600_000_000  # not 64 times 20 MB


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_that_is_nested_deep(tmp_path, name):
    rows = [json.dumps({"text": f"some words {i}"}) for i in range(9)]
    rows.insert(4, '{"text": "x", "deep": ' + "[" * 100_000 + "]" * 100_000 + "}")
    (tmp_path / name).write_text("\n".join(rows))
    read, source = count(tmp_path / name)
    assert (read, [each.reason for each in source.skipped]) == (9, ["JSON that is nested too deep"])
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(StepwellError, match="Expected"):
        count(tmp_path / name)


def test_ways_out_of_an_archive_are_no_members(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.FIFOTYPE, "")):
            info = tarfile.TarInfo(f"{kind.decode()}.png")
            info.type, info.linkname = kind, target
            tar.addfile(info)
        info = tarfile.TarInfo("a.png")
        info.size = len(png())
        tar.addfile(info, io.BytesIO(png()))
    read, source = count(tmp_path / "a.tar")
    assert read == 1
    assert len(source.skipped) == 2
    assert not os.path.exists(tmp_path / "a.png")
