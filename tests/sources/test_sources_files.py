"""Folders and archives: what is listed, what is set aside, and that nothing else matters."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import heed
from PIL import Image

from stepwell.interfaces import Source, StepwellError, UsageError
from stepwell.sources import encoded, open_source


@pytest.fixture
def threads(monkeypatch) -> None:
    """Small images on several threads, which they are too small for otherwise."""
    monkeypatch.setattr(encoded, "THUMBNAIL_BYTES", 0)


def picture(path: Path, seed: int = 0, side: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(colours).save(path, "PNG")
    return path


def packed(root: Path, to: Path) -> Path:
    files = sorted(file for file in root.rglob("*") if file.is_file())
    if to.suffix == ".zip":
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in reversed(files):
                archive.write(file, file.relative_to(root))
    else:
        with tarfile.open(to, f"w:{to.suffix[1:].replace('tar', '')}") as archive:
            for file in files:
                archive.add(file, file.relative_to(root))
    return to


def same(a, b) -> None:
    for name in ("ids", "group", "digest"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.data["image"], b.data["image"])


def reasons(source) -> dict[str, str]:
    return {skipped.id: skipped.reason for skipped in source.skipped}


def test_a_folder_gives_its_images_in_order(photos, read_all, pixels):
    source = open_source(photos)
    batch = read_all(source)
    assert isinstance(source, Source)
    assert list(batch.ids) == sorted(batch.ids)
    assert len(batch) == 40
    assert source.skipped == []
    assert source.name == "photos"
    assert source.options == {"canvas": 12}
    row = list(batch.ids).index("cats/07.png")
    np.testing.assert_array_equal(batch.data["image"][row], pixels(12, 12, 3, seed=7))
    assert list(batch.group) == list(batch.ids)
    assert [id for id, _ in source.entries()] == list(batch.ids)


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tar.gz", "p.tar.bz2", "p.tar.xz"])
def test_an_archive_is_the_same_as_its_folder(name, photos, tmp_path, read_all):
    archive = packed(photos, tmp_path / name)
    same(read_all(archive), read_all(photos))
    assert open_source(archive).labels() == open_source(photos).labels()
    assert open_source(archive).name == "p"


@pytest.mark.parametrize(("size", "workers"), [(1, 1), (3, 2), (16, 3), (40, 1), (1000, 2)])
def test_batch_size_and_workers_change_nothing(size, workers, photos, read_all, threads):
    same(read_all(photos, size, workers=workers), read_all(photos, 7, workers=1))


def test_batches_are_full_though_files_are_skipped(photos):
    for broken in ("cats/07.png", "dogs/00.png", "dogs/38.png"):
        (photos / broken).write_bytes(b"")
    source = open_source(photos)
    assert [len(batch) for batch in source.batches(10)] == [10, 10, 10, 7]
    assert set(reasons(source)) == {"cats/07.png", "dogs/00.png", "dogs/38.png"}
    assert set(reasons(source).values()) == {"the file is empty"}
    list(source.batches(10))
    assert len(source.skipped) == 3


@pytest.mark.parametrize("name", ["", "p.zip", "p.tar"])
def test_ids_give_the_same_rows_and_read_no_others(name, photos, tmp_path, read_all):
    where = packed(photos, tmp_path / name) if name else photos
    everything = read_all(where)
    source = open_source(where)
    if not name:
        (photos / "cats/01.png").unlink()
        (photos / "cats/01.png").write_bytes(b"")
    chosen = ["dogs/10.png", "cats/03.png", "dogs/38.png", "nowhere.png"]
    rows = np.flatnonzero(np.isin(everything.ids, chosen))
    same(read_all(source, 2, ids=chosen), everything.take(rows))
    assert source.skipped == []
    assert list(source.batches(2, ids=[])) == []


def test_folders_can_be_groups_and_labels(photos, read_all):
    picture(photos / "top.png")
    source = open_source(photos, group_by="folder")
    groups = dict(source.entries())
    assert groups["cats/01.png"] == "cats"
    assert groups["top.png"] == "top.png"
    assert set(read_all(source).group) == {"cats", "dogs", "top.png"}
    assert source.labels()["cats/01.png"] == "cats"
    assert "top.png" not in source.labels()
    assert source.options["group_by"] == "folder"


def test_no_labels_where_all_are_in_one_folder(tmp_path):
    picture(tmp_path / "a.png")
    assert open_source(tmp_path).labels() is None


def test_a_single_image_is_a_source_of_one(tmp_path, read_all):
    batch = read_all(picture(tmp_path / "one.png"))
    assert list(batch.ids) == ["one.png"]


def test_everything_a_disk_can_hold(tmp_path, read_all):
    root = tmp_path / "odd"
    picture(root / "good.png")
    picture(root / "folder.jpg" / "inside.png", 1)
    picture(root / "new\nline 🐈.png", 2)
    picture(Path(os.fsdecode(os.fsencode(root) + b"/bad\xff.png")), 3)
    picture(tmp_path / "elsewhere" / "linked.png", 4)
    (root / "empty.png").write_bytes(b"")
    (root / "text.png").write_text("just words")
    (root / "cut.png").write_bytes((root / "good.png").read_bytes()[:200])
    os.mkfifo(root / "pipe.png")
    (root / "dangling.png").symlink_to(root / "nothing.png")
    (root / "phone.heif").write_bytes(b"x")
    (root / "loop").symlink_to(root)
    (root / "folder.jpg" / "up").symlink_to(root)
    (root / "more").symlink_to(tmp_path / "elsewhere")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(root / "socket.png"))
        source = open_source(root)
        batch = read_all(source)
    assert set(batch.ids) == {
        "good.png",
        "folder.jpg/inside.png",
        "new\nline 🐈.png",
        "bad\\xff.png",
        "more/linked.png",
    }
    why = reasons(source)
    assert why["empty.png"] == "the file is empty"
    assert why["text.png"] == "not an image: the content is text"
    assert why["cut.png"].startswith(("cut short", "damaged"))
    assert why["pipe.png"] == "a named pipe, not a file"
    assert why["socket.png"] == "a socket, not a file"
    assert why["dangling.png"] == "a link that leads nowhere"
    assert "HEIF" in why["phone.heif"]
    assert len(why) == 7
    "".join(batch.ids).encode()


def test_a_folder_keeps_its_own_name_though_a_link_comes_first(tmp_path, read_all):
    picture(tmp_path / "z" / "a.png")
    (tmp_path / "b").symlink_to(tmp_path / "z")
    assert list(read_all(tmp_path).ids) == ["z/a.png"]


def test_thumbnails_and_photographs_agree_on_any_number_of_threads(tmp_path, read_all):
    for i in range(30):
        picture(tmp_path / f"{i}.png", i, side=12 if i % 3 else 90)
    same(read_all(tmp_path, 4, workers=1), read_all(tmp_path, 9, workers=4))


def test_an_unreadable_name_may_be_chosen_by_its_id(tmp_path, read_all):
    picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.png")))
    picture(tmp_path / "good.png")
    assert list(read_all(tmp_path, ids={"bad\\xff.png"}).ids) == ["bad\\xff.png"]


def test_strict_names_the_first_that_fails(photos):
    (photos / "cats/05.png").write_bytes(b"")
    (photos / "dogs/00.png").write_text("words")
    with pytest.raises(StepwellError, match=r"cats/05\.png.*empty"):
        list(open_source(photos, strict=True).batches(8))


def test_canvas(tmp_path, photos, read_all):
    wide = tmp_path / "wide"
    wide.mkdir()
    for i, size in enumerate([(40, 10), (20, 20), (400, 300)]):
        Image.new("RGB", size).save(wide / f"{i}.png")
    assert open_source(wide).options["canvas"] == 20
    picture(tmp_path / "big" / "x.png", side=300)
    assert open_source(tmp_path / "big").options["canvas"] == 128
    picture(tmp_path / "tiny" / "x.png", side=1)
    assert open_source(tmp_path / "tiny").options["canvas"] == 8
    assert read_all(photos, canvas=24).data["image"].shape == (40, 24, 24, 3)
    with pytest.raises(UsageError, match="canvas"):
        open_source(photos, canvas=2)


def test_closing_early_stops_all_threads(photos, threads):
    batches = open_source(photos, workers=3).batches(2)
    next(batches)
    batches.close()
    gc.collect()
    time.sleep(0.05)
    assert not [t for t in threading.enumerate() if t.name.startswith("stepwell-read")]


def test_reading_stays_a_bounded_distance_ahead(tmp_path, monkeypatch, threads):
    for i in range(400):
        picture(tmp_path / f"{i:03}.png", i)
    opened = []
    real = open_source(tmp_path, canvas=12, workers=2)
    items = real._items
    monkeypatch.setattr(real, "_items", lambda: (opened.append(i) or i for i in items()))
    batches = real.batches(16)
    next(batches)
    assert len(opened) <= 4 * 16
    batches.close()


def test_names_in_zips(tmp_path, read_all):
    raw = picture(tmp_path / "x.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
        for name in ("./dot/a.png", "/rooted.png", "__MACOSX/a.png", ".h/b.png", "é/🐈.png"):
            archive.writestr(name, raw)
        archive.writestr("twice.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("twice.png", raw)
    batch = read_all(tmp_path / "n.zip")
    assert set(batch.ids) == {"dot/a.png", "rooted.png", "é/🐈.png", "twice.png"}


def test_members_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(encoded, "MOST_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(1_000_000))
        archive.write(picture(tmp_path / "x.png"), "x.png")
    source = open_source(tmp_path / "bomb.zip")
    assert [len(b) for b in source.batches(4)] == [1]
    assert "too large" in reasons(source)["bomb.png"]


def test_damage_inside_a_zip_costs_one_image(photos, tmp_path):
    archive = packed(photos, tmp_path / "p.zip")
    with zipfile.ZipFile(archive) as file:
        start = file.getinfo("cats/03.png").header_offset + 80
    content = bytearray(archive.read_bytes())
    content[start : start + 40] = bytes(40)
    archive.write_bytes(content)
    source = open_source(archive)
    assert sum(map(len, source.batches(9))) == 39
    assert "damaged" in reasons(source)["cats/03.png"]


def test_a_tar_that_ends_early_gives_what_it_has(photos, tmp_path):
    archive = packed(photos, tmp_path / "p.tar.gz")
    archive.write_bytes(archive.read_bytes()[:12000])
    source = open_source(archive)
    found = sum(map(len, source.batches(9)))
    assert 0 < found < 40
    assert any("archive is damaged" in reason for reason in reasons(source).values())


def test_links_in_a_tar_are_not_followed(tmp_path):
    picture(tmp_path / "d" / "x.png")
    (tmp_path / "d" / "y.png").symlink_to("/etc/hostname")
    with tarfile.open(tmp_path / "l.tar", "w") as archive:
        archive.add(tmp_path / "d", "d")
    source = open_source(tmp_path / "l.tar")
    assert [list(b.ids) for b in source.batches(4)] == [["d/x.png"]]
    assert "link" in reasons(source)["d/y.png"]


@pytest.mark.data
def test_real_photographs(real, read_all):
    source = open_source(real("trashnet.zip"))
    batch = next(source.batches(64))
    assert batch.data["image"].shape == (64, 128, 128, 3)
    assert set(source.labels().values()) >= {"paper", "glass", "metal"}


def test_folders_deeper_than_python_recurses(tmp_path, monkeypatch):
    picture(tmp_path / "d" / "x.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        Path("d").mkdir(exist_ok=True)
        os.chdir("d")
    try:
        assert [id for id, _ in open_source(tmp_path).entries()] == ["d/x.png"]
    finally:  # so deep a folder is more than shutil can remove
        for _ in range(1199):
            os.chdir("..")
            Path("d").rmdir()


def test_an_interrupt_ends_a_pass_at_once(tmp_path):
    for i in range(300):
        picture(tmp_path / f"{i:03}.png", i, side=300)
    code = (
        "import os, signal, sys, threading\n"
        "from stepwell.sources import encoded, open_source\n"
        "batches = open_source(sys.argv[1], workers=2).batches(8)\n"
        "next(batches)\n"
        "try:\n"
        "    for batch in batches:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    batches.close()\n"
        "    print(threading.active_count())\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    options = {"capture_output": True, "text": True, "timeout": 30, "preexec_fn": heed}
    found = subprocess.run(run, check=False, **options)
    assert found.stdout.strip() == "1"
    assert found.stderr == ""
