"""Arrays and IDX files: one scale for all rows, ids that last, labels kept apart."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.interfaces import StepwellError, UsageError
from stepwell.sources import open_source
from stepwell.sources.layout import channels_first
from stepwell.sources.tones import scale_of, to_bytes


def idx(path, array):
    codes = {"u1": 8, "f4": 13, "i2": 11}
    kind = codes[array.dtype.str[1:]]
    big = array.astype(array.dtype.newbyteorder(">"))
    content = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    content += big.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_bytes_are_kept_as_they_are(pixels, read_all):
    images = pixels(20, 16, 16, 3)
    batch = read_all(images)
    np.testing.assert_array_equal(batch.data["image"], images)
    assert batch.ids[7] == "array#row=7"


def test_memory_npy_npz_and_idx_agree(pixels, tmp_path, read_all):
    images = pixels(20, 16, 16)
    np.save(tmp_path / "a.npy", images)
    np.savez_compressed(tmp_path / "a.npz", images=images, labels=np.arange(20))
    np.savez(tmp_path / "f.npz", images=np.asfortranarray(images))
    idx(tmp_path / "t-images-idx3-ubyte.gz", images)
    expected = read_all(images)
    for name in ("a.npy", "a.npz", "f.npz", "t-images-idx3-ubyte.gz"):
        batch = read_all(tmp_path / name)
        np.testing.assert_array_equal(batch.data["image"], images[..., None])
        np.testing.assert_array_equal(batch.digest, expected.digest)
        assert batch.ids[3] == f"{name}#row=3"


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (np.array([0, 65535], np.uint16), 0, 255),
        (np.array([0, 257], np.uint16), 0, 1),
        (np.array([False, True]), 0, 255),
        (np.array([-128, 127], np.int8), 0, 255),
        (np.array([0, 255], np.int64), 0, 255),
        (np.array([0, 100], np.int32), 0, 100),
        (np.array([-1000, 3000], np.int16), 0, 255),
        (np.array([0.0, 0.5], np.float32), 0, 128),
        (np.array([0.0, 16.0]), 0, 16),
        (np.array([-2.0, 2.0], np.float16), 0, 255),
        (np.array([7e30, 7e30]), 0, 0),
    ],
)
def test_scales(values, low, high, read_all):
    images = np.resize(values, (6, 8, 8))
    found = read_all(images).data["image"]
    assert (found.min(), found.max()) == (low, high)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=50),
)
@settings(max_examples=60)
def test_scaling_keeps_order(values):
    array = np.sort(np.array(values, np.float32))
    found = to_bytes(array, scale_of(float(array[0]), float(array[-1]))).astype(int)
    assert (np.diff(found) >= 0).all()


def test_a_scale_opens_other_arrays_the_same_way(read_all):
    first = open_source(np.linspace(-5, 10, 640).reshape(10, 8, 8))
    assert first.options["scale"] == [-5.0, 10.0]
    other = np.full((3, 8, 8), 2.5)
    assert (read_all(other, **first.options).data["image"] == 128).all()


def test_rows_that_are_not_finite_are_set_aside(read_all):
    images = np.random.default_rng(0).random((10, 8, 8))
    images[3, 0, 0] = np.nan
    images[8, 1, 1] = np.inf
    source = open_source(images)
    batch = read_all(source, 4)
    assert len(batch) == 8
    assert [s.id for s in source.skipped] == ["array#row=3", "array#row=8"]
    assert "not finite" in source.skipped[0].reason
    with pytest.raises(StepwellError, match="row=3"):
        list(open_source(images, strict=True).batches(4))


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((5, 28, 28), False),
        ((5, 28, 28, 3), False),
        ((5, 3, 32, 32), True),
        ((5, 3, 32, 3), False),
        ((5, 13, 64, 64), True),
        ((5, 64, 64, 13), False),
        ((5, 4, 4, 4), False),
    ],
)
def test_where_channels_are(shape, first):
    assert channels_first(shape) is first


def test_channels_are_all_kept(pixels, read_all):
    images = pixels(6, 16, 16, 7)
    np.testing.assert_array_equal(read_all(images).data["image"], images)
    moved = images[..., :3].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(read_all(moved).data["image"], images[..., :3])
    told = read_all(images, channels="first", canvas=16)
    assert told.data["image"].shape == (6, 16, 16, 16)


def test_other_shapes_are_resized(read_all):
    images = np.zeros((3, 40, 10), np.uint8)
    images[:, 20:] = 200
    found = read_all(images).data["image"]
    assert found.shape == (3, 20, 20, 1)
    assert (found[:, :9] == 0).all()
    assert (found[:, 11:] == 200).all()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_batch_sizes_workers_and_ids_change_nothing(size, read_all):
    images = np.random.default_rng(1).random((3000, 9, 9))
    images[1500] = np.nan
    whole = read_all(images, 500, workers=1)
    again = read_all(images[:100], size, workers=3, scale=open_source(images).options["scale"])
    np.testing.assert_array_equal(again.data["image"], whole.data["image"][:100])
    chosen = ["array#row=2999", "array#row=4", "array#row=1500", "else#row=3", "array#row=99999"]
    some = read_all(images, size, ids=chosen)
    rows = np.flatnonzero(np.isin(whole.ids, chosen))
    assert list(some.ids) == ["array#row=4", "array#row=2999"]
    np.testing.assert_array_equal(some.digest, whole.digest[rows])
    np.testing.assert_array_equal(some.data["image"], whole.data["image"][rows])


def test_npz_takes_the_largest_or_the_one_named(pixels, tmp_path, read_all):
    file = tmp_path / "d.npz"
    arrays = {"train_images": pixels(9, 8, 8), "val_images": pixels(4, 8, 8, seed=1)}
    labels = {"train_labels": np.arange(9).reshape(9, 1), "val_labels": np.arange(4)}
    np.savez(file, **arrays, **labels)
    train, val = open_source(file), open_source(file, array="val_images")
    assert train.options["array"] == "train_images"
    assert train.labels()["d.npz#row=8"] == "8"
    assert val.labels()["d.npz/val_images#row=3"] == "3"
    assert not set(train.labels()) & set(val.labels())
    np.testing.assert_array_equal(read_all(val).data["image"][..., 0], arrays["val_images"])
    again = open_source(file, **train.options)
    assert list(again.entries()) == list(train.entries())
    with pytest.raises(UsageError, match=r"val_image'.*Did you mean 'val_images'"):
        open_source(file, array="val_image")


@pytest.mark.parametrize(("x", "y"), [("x_train", "y_train"), ("X", "y"), ("data", "target")])
def test_usual_names_of_labels(x, y, pixels, tmp_path):
    np.savez(tmp_path / "d.npz", **{x: pixels(5, 8, 8), y: list("abcde")})
    assert open_source(tmp_path / "d.npz").labels()["d.npz#row=1"] == "b"


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[1, 2], [3, None]], object), "Python objects"),
        (np.zeros((5, 64)), "reshape each row"),
        (np.zeros((480, 640, 3)), "single image"),
        (np.zeros((0, 8, 8)), "is empty"),
        (np.zeros((4, 8, 8), complex), "not real numbers"),
    ],
)
def test_arrays_that_are_no_images(array, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        open_source(array)
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(UsageError, match=words):
        open_source(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", array)
    with pytest.raises(UsageError, match=words):
        open_source(tmp_path / "a.npz")


def test_damaged_arrays(pixels, tmp_path):
    np.save(tmp_path / "cut.npy", pixels(50, 16, 16))
    content = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(content[:3000])
    (tmp_path / "no.npz").write_text("no archive")
    for name in ("cut.npy", "no.npz"):
        with pytest.raises(StepwellError, match="download or write it again"):
            open_source(tmp_path / name)


def test_idx_folder_with_splits_and_labels(pixels, tmp_path, read_all):
    for split, n in (("train", 12), ("t10k", 5)):
        idx(tmp_path / f"{split}-images-idx3-ubyte.gz", pixels(n, 8, 8))
        idx(tmp_path / f"{split}-labels-idx1-ubyte.gz", np.arange(n, dtype=np.uint8))
    train, test = open_source(tmp_path), open_source(tmp_path, split="test")
    assert len(read_all(train)) == 12
    assert test.labels()["t10k-images-idx3-ubyte.gz#row=4"] == "4"
    assert test.options["split"] == "test"
    with pytest.raises(UsageError, match="split"):
        open_source(tmp_path, split="validation")


def test_damaged_idx(pixels, tmp_path):
    file = idx(tmp_path / "train-images-idx3-ubyte", pixels(50, 8, 8))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(StepwellError, match=r"Expected 50 images.*found about 15"):
        list(open_source(file).batches(10))
    file.write_bytes(b"something else")
    with pytest.raises(StepwellError, match="IDX"):
        open_source(file)


@pytest.mark.data
def test_real_arrays(real):
    source = open_source(real("pneumoniamnist-trainval.npz"))
    assert sum(map(len, source.batches(500))) == 3882
    assert set(source.labels().values()) == {"0", "1"}
