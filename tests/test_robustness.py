"""What people's folders and disks are like; and being killed at any moment."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import begun, write_digits
from PIL import Image

import stepwell
from stepwell.interfaces import StepwellError

GOOD = 40


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A grey PNG that announces a size; its pixels may be missing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def odd_but_good(root: Path) -> set[str]:
    """Images that few programs read all of; they must be learned from."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (12, 10, 4), np.uint8)
    Image.fromarray(small[..., 0].astype(np.uint16) * 257).save(root / "16bit.png")
    Image.fromarray(small, "CMYK").save(root / "cmyk.jpg")
    Image.fromarray(small, "RGBA").save(root / "rgba.png")
    Image.fromarray(small[..., :3]).quantize(7).save(root / "palette.png")
    Image.new("L", (1, 1), 77).save(root / "1x1.png")
    Image.fromarray(small[..., :3]).save(root / "new\nline 🦊.png")
    (root / "folder.jpg").mkdir()
    Image.fromarray(small[..., 1]).save(root / "folder.jpg" / "inside.png")
    (root / "loop").symlink_to(root, target_is_directory=True)
    named = ("16bit.png", "cmyk.jpg", "rgba.png", "palette.png", "1x1.png", "new\nline 🦊.png")
    return {*named, "folder.jpg/inside.png"}


def broken(root: Path) -> dict[str, str]:
    """What can't be learned from, and a word of the reason."""
    (root / "empty.png").write_bytes(b"")
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(root / "cut.jpg")
    whole = (root / "cut.jpg").read_bytes()
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "text.png").write_text("Dear diary, this is no image.")
    (root / "bomb.png").write_bytes(png(60_000, 60_000))
    os.mkfifo(root / "pipe.png")
    (root / "dangling.png").symlink_to(root / "nowhere.png")
    return {
        "empty.png": "the file is empty",
        "cut.jpg": "cut short",
        "text.png": "the content is text",
        "bomb.png": "too large",
        "pipe.png": "a named pipe",
        "dangling.png": "a link that leads nowhere",
    }


@pytest.fixture
def mess(tmp_path: Path) -> tuple[Path, set[str], dict[str, str]]:
    """Good images, odd ones, broken ones."""
    root = write_digits(tmp_path / "mess", GOOD)
    good = {str(p.relative_to(root)) for p in root.rglob("*.png")}
    return root, good | odd_but_good(root), broken(root)


@pytest.mark.usefixtures("tiny")
def test_it_learns_from_the_good_ones_and_lists_the_others_with_reasons(call, mess, tmp_path):
    root, good, bad = mess
    said = call("learn", root, "--out", tmp_path / "run", "--no-report")
    assert said.code == 0, said.err
    assert f"{len(good)} examples, {len(bad)} set aside" in said.out
    assert said.out.count("set aside  '") + said.out.count('set aside  "') == 5
    run = stepwell.load(tmp_path / "run")
    assert set(run.index[0].tolist()) == good
    skipped = {row["id"]: row["reason"] for row in run.config["skipped"]}
    assert skipped.keys() == bad.keys()
    for name, word in bad.items():
        assert word in skipped[name]
    # The name with a newline in it is an id like any other.
    assert run.search("new\nline 🦊.png", 1)[0]["id"] == "new\nline 🦊.png"
    said = call("search", run.path, "new\nline 🦊.png")
    assert said.code == 0


@pytest.mark.usefixtures("tiny")
def test_strict_stops_at_the_first_and_leaves_nothing(call, mess, tmp_path):
    root, _, bad = mess
    said = call("learn", root, "--out", tmp_path / "run", "--strict")
    assert said.code == 1
    first = min(bad)  # sources go through a folder by name
    assert f"found {first!r}: {bad[first]}" in said.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mess"]


@pytest.mark.usefixtures("tiny")
def test_embedding_a_mess_sets_the_same_aside(call, mess, tmp_path, tiny_run):
    root, good, bad = mess
    said = call("embed", tiny_run, root, "--out", tmp_path / "z.parquet")
    assert said.code == 0
    assert f"{len(good)} vectors" in said.out
    assert f"{len(bad)} set aside" in said.out


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "side", [4000, pytest.param(12_000, marks=pytest.mark.slow)], ids=lambda s: f"{s}x{s}"
)
def test_a_huge_image_is_one_example(call, tmp_path, side):
    root = write_digits(tmp_path / "src", 20)
    row = b"\0" + bytes(range(256)) * (side // 256) + bytes(side % 256)
    (root / "huge.png").write_bytes(png(side, side, row * side))
    said = call("learn", root, "--out", tmp_path / "run", "--no-report")
    assert said.code == 0, said.err
    assert "21 examples, 0 set aside" in said.out


def alike(root: Path) -> None:
    for i in range(30):
        Image.new("L", (8, 8), 90).save(root / f"{i}.png")


def one_image(root: Path) -> None:
    Image.new("L", (8, 8), 90).save(root / "a.png")


def only_broken(root: Path) -> None:
    for i in range(30):
        (root / f"{i}.png").write_text("no image")


FOLDERS = {
    "empty": (lambda root: None, 2, "found an empty folder: put images in it"),
    "one image": (one_image, 1, "Expected at least 8 examples to learn from, found 1"),
    "all alike": (alike, 1, "found all alike"),
    "only broken": (only_broken, 1, "Expected at least 8 readable examples, found 0"),
    "other files": (lambda root: (root / "a.doc").write_text("x"), 2, "found none among 1 files"),
}


@pytest.mark.parametrize("plugin", ["patches", "thumbnails"])
@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.usefixtures("tiny")
def test_folders_with_nothing_to_learn(call, tmp_path, kind, plugin):
    make, code, words = FOLDERS[kind]
    root = tmp_path / "src"
    root.mkdir()
    make(root)
    said = call("learn", root, "--out", tmp_path / "run", "--encoder", plugin, "--preset", "fast")
    assert said.code == code
    assert said.err.startswith("stepwell: Expected ")
    assert words in said.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["src"]


ARRAYS = {
    "all NaN": (np.full((30, 8, 8), np.nan), 1, "not finite"),
    "a table": (np.zeros((30, 8)), 2, "reshape each row"),
    "a line": (np.zeros(30), 2, "has 1 axes"),
    "five axes": (np.zeros((4, 2, 8, 8, 3)), 2, "has 5 axes"),
    "no rows": (np.zeros((0, 8, 8)), 2, "is empty"),
    "complex": (np.zeros((30, 8, 8), complex), 2, "not real numbers"),
    "text": (np.full((30, 8, 8), "x"), 2, "not real numbers"),
    "one image": (np.zeros((64, 64, 3), np.uint8), 2, "looks like a single image"),
    "few": (np.zeros((5, 8, 8), np.uint8), 1, "at least 8 examples"),
    "all alike": (np.full((30, 8, 8), 7, np.uint8), 1, "all alike"),
}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_with_nothing_to_learn(call, tmp_path, kind):
    array, code, words = ARRAYS[kind]
    np.save(tmp_path / "a.npy", array)
    said = call("learn", tmp_path / "a.npy", "--out", tmp_path / "run")
    assert said.code == code
    assert said.err.startswith("stepwell: Expected ")
    assert words in said.err
    with pytest.raises(StepwellError, match="Expected "):
        stepwell.learn(array, tmp_path / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.usefixtures("tiny")
def test_rows_that_are_not_finite_are_set_aside(tmp_path):
    array = np.random.default_rng(0).random((40, 8, 8))
    array[3, 0, 0], array[7, 1, 1] = np.nan, np.inf
    run = stepwell.learn(array, tmp_path / "run", report=False)
    assert len(run.index[0]) == 38
    assert [row["id"] for row in run.config["skipped"]] == ["array#row=3", "array#row=7"]
    assert np.isfinite(run.index[1]).all()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("shape", [(3, 8), (2, 8, 8, 3, 1), (0, 8, 8)])
def test_queries_of_a_wrong_shape(tiny_run, shape):
    run = stepwell.load(tiny_run)
    with pytest.raises(StepwellError, match="Expected "):
        run.embed(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("preset", ["default", "fast", "large"])
@pytest.mark.parametrize("count", [8, 12, 40])
def test_few_images_are_few_but_no_error(tmp_path, count, preset):
    src = write_digits(tmp_path / "src", count)
    run = stepwell.learn(src, tmp_path / "run", preset=preset, report=False)
    assert len(run.index[0]) == count
    assert np.isfinite(run.index[1]).all()


def told_that_the_disk_is_full(said) -> None:
    assert said.code == 1
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1].startswith("stepwell: Expected ")
    assert "free some" in said.err.lower()


@pytest.mark.parametrize("room", [1_000, 6_000, 10_000])
def test_a_limit_on_the_size_of_files(spawn, digits, tmp_path, room):
    # It fails where a full disk does, in the middle of a write, and needs no other disk.
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    said = spawn("learn", digits, "--out", tmp_path / "run", "--no-report", preexec_fn=limit)
    told_that_the_disk_is_full(said)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()

    def mounted(kilobytes: int) -> Path:
        options = f"size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here: the limit on file sizes stands in")
        return place

    yield mounted
    if os.path.ismount(place):
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kilobytes", [8, 24, 48, 96])
def test_a_full_disk(call, digits, small_disk, kilobytes):
    disk = small_disk(kilobytes)
    said = call("learn", digits, "--out", disk / "run")
    told_that_the_disk_is_full(said)
    assert list(disk.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_a_disk_too_full_for_vectors(call, digits, tiny_run, small_disk):
    disk = small_disk(4)
    for form in ("parquet", "npy", "csv"):
        said = call("embed", tiny_run, digits, "--out", disk / f"z.{form}")
        told_that_the_disk_is_full(said)
        assert list(disk.iterdir()) == []


def killed(moment: float, digits: Path, tiny_run: Path, at: Path, call, took: float) -> None:
    """Kill a learn after a share of the time it takes, and use what is left."""
    out, overwrite = at / "run", int(moment * 1000) % 2 == 0
    if overwrite:
        shutil.copytree(tiny_run, out)
    words = ["--overwrite"] if overwrite else []
    with begun(digits, out, *words) as process:
        time.sleep(moment * took)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    if out.exists():
        assert call("search", out, "train/0/0000.png", "-n", 3).code == 0
        assert stepwell.load(out).embed(digits).shape[0] == 100
    else:
        assert process.returncode == -signal.SIGKILL
    done = out.exists() and not overwrite  # killed after its last step, or not at all
    said = call("learn", digits, "--out", out, "--no-report", *words)
    assert said.code == (2 if done else 0), said.err
    assert len(stepwell.load(out).index[0]) == 100
    left = {p.name for p in at.iterdir()}
    assert left <= ({"run", ".run.lock"} if done else {"run"})


@pytest.fixture(scope="module")
def took(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds from the first byte of a run to its end."""
    with begun(digits, tmp_path_factory.mktemp("timed") / "run") as process:
        start = time.monotonic()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return time.monotonic() - start


MOMENTS = [random.Random(i).random() for i in range(25)]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "moment",
    [*MOMENTS[:5], *(pytest.param(m, marks=pytest.mark.slow) for m in MOMENTS[5:])],
    ids=lambda moment: f"{moment:.3f}",
)
def test_killed_at_a_random_moment_a_run_is_whole_or_absent(
    moment, digits, tiny_run, tmp_path, call, took
):
    killed(moment, digits, tiny_run, tmp_path, call, took)
