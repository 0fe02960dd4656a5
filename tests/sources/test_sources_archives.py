"""Archives that were made to take time and memory take neither."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepwell.interfaces import Skipped, StepwellError
from stepwell.sources import open_source, pool
from stepwell.sources.pool import ordered


def png(seed: int = 0) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.full((12, 12, 3), seed, np.uint8)).save(held, "PNG")
    return held.getvalue()


def member(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, size: int = -1) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size < 0 else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def record(key: str, value: str) -> bytes:
    length = len(key) + len(value) + 5
    return f"{length} {key}={value}\n".encode()


def read(path: Path) -> int:
    return sum(map(len, open_source(path).batches(16)))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_after_headers_have_an_end(tmp_path, kind):
    one = record("path", "ab.png") if kind == tarfile.XHDTYPE else b"ab.png\0"
    (tmp_path / "a.tar").write_bytes(
        member("x", one, kind) * 3000 + member("a.png", png()) + bytes(1024)
    )
    with pytest.raises(StepwellError, match="download or pack it again"):
        open_source(tmp_path / "a.tar")


def test_a_list_of_holes_has_an_end(tmp_path):
    about = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
    about += record("GNU.sparse.name", "a.png") + record("GNU.sparse.realsize", "99")
    start = member("x", about, tarfile.XHDTYPE) + member("a.png", b"", size=2**33 - 1)
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as file:
        file.write(start + b"999999999999\n")
        for _ in range(8):
            file.write(b"1\n" * 2**19)
    with pytest.raises(StepwellError, match=r"a header of 1,048,576 bytes or more"):
        open_source(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_what_is_no_image_is_not_unpacked(tmp_path, name):
    zeros = bytes(2**26)
    if name == "a.zip":
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.png", png())
            for i in range(3):
                file.writestr(f"z{i}.png", zeros)
    else:
        with tarfile.open(tmp_path / name, "w:gz", compresslevel=1) as tar:
            for path, content in [("a.png", png()), *((f"z{i}.png", zeros) for i in range(3))]:
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    del zeros
    tracemalloc.start()
    try:
        source = open_source(tmp_path / name)
        assert sum(map(len, source.batches(16))) == 1
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    reasons = {each.id: each.reason for each in source.skipped}
    assert reasons == dict.fromkeys(
        ("z0.png", "z1.png", "z2.png"), "not an image: nothing but zero bytes"
    )


def test_members_without_a_name_are_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.png", png())
        file.writestr("b", b"x")
    raw = (tmp_path / "a.zip").read_bytes()
    at = raw.rindex(b"PK\x01\x02")
    at_name = raw.index(b"b", at + 46)
    cut = raw[: at + 28] + b"\0\0" + raw[at + 30 : at_name] + raw[at_name + 1 :]
    end = cut.rindex(b"PK\x05\x06") + 12
    size = int.from_bytes(cut[end : end + 4], "little") - 1
    (tmp_path / "a.zip").write_bytes(cut[:end] + size.to_bytes(4, "little") + cut[end + 4 :])
    assert read(tmp_path / "a.zip") == 1


def test_setting_many_aside_takes_no_longer_each(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    source = open_source(tmp_path)
    source._set_aside([Skipped("b", "damaged")])
    known = source._aside
    source._set_aside([Skipped("c", "damaged"), Skipped("b", "damaged")])
    assert source._aside is known  # else each time all that is known is copied
    assert [each.id for each in source.skipped] == ["b", "c"]


def test_tasks_under_way_are_bounded_by_what_they_hold(monkeypatch):
    monkeypatch.setattr(pool, "HELD_BYTES", 100)
    held, most, guard = [0], [0], threading.Lock()

    def work(task: int, stop: threading.Event) -> int:
        time.sleep(0.001)
        with guard:
            held[0] -= task
        return task

    def drawn():
        for task in [10, 90, 300, 40, 40, 40, 200, 1, 1] * 4:
            with guard:
                held[0] += task
                most[0] = max(most[0], held[0])
            yield task

    found = list(ordered(work, drawn(), 4, 16, lambda task: task))
    assert found == [10, 90, 300, 40, 40, 40, 200, 1, 1] * 4
    assert most[0] <= 300 + 50
