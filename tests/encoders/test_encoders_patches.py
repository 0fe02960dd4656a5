"""The patch encoder: the compiled kernel equals the plain path, and nothing else matters."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from helpers import photo_windows

from stepwell.encoders import PatchEncoder
from stepwell.encoders.patches import encoder as module
from stepwell.encoders.patches import fused
from stepwell.encoders.patches.dictionary import bar_of, rounded, unit
from stepwell.encoders.patches.encoder import default_sides, stream_specs
from stepwell.encoders.patches.fit import _sample_patches
from stepwell.encoders.patches.fused import Fused, FusedAnswers, library
from stepwell.encoders.patches.geometry import cut
from stepwell.encoders.patches.stream import PATCH, answers
from stepwell.interfaces import Batch, UsageError
from stepwell.sources import open_source

needs_kernel = pytest.mark.skipif(library() is None, reason="the kernel was not compiled")


@pytest.fixture(scope="module")
def batch():
    """Windows of scikit-learn's two photographs."""
    return next(iter(open_source(photo_windows(96)).batches(96)))


def alike(found, expected):
    """Equal, but for the rare patch that lies between two steps of rounding."""
    gaps = np.abs(found - expected)
    assert gaps.max() < 2e-3
    assert np.quantile(gaps, 0.98) < 5e-6


@pytest.fixture(scope="module")
def encoder(batch):
    return PatchEncoder("fast").fit(batch)


@needs_kernel
@pytest.mark.parametrize("place", range(4))
def test_kernel_equals_the_plain_path(encoder, batch, place):
    stream = encoder.streams[place]
    seen = stream.spec.view(batch.data["image"])
    alike(Fused(stream)(seen), stream.pooled(cut(seen, PATCH, stream.spec.stride)))


@needs_kernel
@pytest.mark.parametrize("rows", [1, 4, 7, 403])
def test_compiled_answers_equal_the_plain_ones(encoder, rows):
    atoms = encoder.streams[0].atoms
    z = np.random.default_rng(rows).normal(size=(rows, atoms.shape[1])).astype(np.float32)
    z = rounded(unit(z))
    expected = answers(z, atoms, atoms.shape[1] // 2, bar_of(0.1))
    assert expected[0].any()
    for found, plain in zip(FusedAnswers(atoms)(z, bar_of(0.1)), expected, strict=True):
        np.testing.assert_array_equal(found, plain)


@needs_kernel
def test_no_product_overflows(encoder):
    """An atom against itself: the largest product there is."""
    atoms = encoder.streams[0].atoms
    z = rounded(unit(atoms.astype(np.float32)))
    found, _ = FusedAnswers(atoms)(z, 0)
    np.testing.assert_array_equal(found, answers(z, atoms, atoms.shape[1] // 2, 0)[0])
    assert np.diag(found).min() > 0.95 * bar_of(1.0)


def test_the_kernel_without_vector_instructions_says_the_same(
    encoder, batch, tmp_path, monkeypatch
):
    """What other processors compile, compiled here."""
    compiler, headers = shutil.which("cc"), Path(sysconfig.get_path("include"))
    if compiler is None or not (headers / "Python.h").is_file():
        pytest.skip("no C compiler, or no headers of Python")
    source, built = Path(module.__file__).with_name("fused.c"), tmp_path / "plain.so"
    flags = ["-DSTEPWELL_PLAIN", "-shared", "-fPIC", "-O2", f"-I{headers}", "-lm"]
    subprocess.run([compiler, source, "-o", built, *flags], check=True)
    plain = ctypes.CDLL(str(built))
    monkeypatch.setattr(fused, "library", lambda: plain)
    few = batch.take(slice(0, 6))
    for stream in encoder.streams:
        seen = stream.spec.view(few.data["image"])
        alike(Fused(stream)(seen), stream.pooled(cut(seen, PATCH, stream.spec.stride)))
    atoms = encoder.streams[0].atoms
    z = rounded(unit(atoms[:7].astype(np.float32)))
    found, _ = FusedAnswers(atoms)(z, 0)
    np.testing.assert_array_equal(found, answers(z, atoms, atoms.shape[1] // 2, 0)[0])


def test_without_the_kernel_the_same_comes_out(encoder, batch, monkeypatch):
    expected = encoder.embed(batch)
    monkeypatch.setattr(module, "usable", lambda *_: False)
    alike(encoder.embed(batch), expected)


def test_a_flip_changes_nothing(encoder, batch):
    turned = batch.with_data(image=batch.data["image"][:, :, ::-1].copy())
    alike(encoder.embed(turned), encoder.embed(batch))
    told_apart = encoder.absorbing(())
    assert np.abs(told_apart.embed(turned) - told_apart.embed(batch)).max() > 1e-3


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_and_batches_change_no_bit(encoder, batch, monkeypatch, threads):
    whole = encoder.embed(batch)
    monkeypatch.setenv("STEPWELL_THREADS", threads)
    parts = [encoder.embed(batch.take(slice(i, i + 7))) for i in range(0, len(batch), 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_attention_is_a_picture_of_shares(encoder):
    picture = encoder.attention(np.eye(encoder.width)[0])
    assert picture.shape == (4, 4)
    assert picture.max() == 1
    assert picture.min() >= 0


def test_grey_and_many_channels(batch):
    for channels in (1, 5):
        images = np.repeat(batch.data["image"][..., :1], channels, -1)
        other = batch.with_data(image=images)
        assert np.isfinite(PatchEncoder("fast").fit(other).embed(other)).all()


def test_grey_images_serve_an_encoder_of_grey_ones_in_three_channels(batch):
    grey = batch.data["image"].mean(-1, keepdims=True).astype(np.uint8)
    three = batch.with_data(image=np.repeat(grey, 3, axis=-1))
    encoder = PatchEncoder("fast").fit(three)
    found = encoder.embed(batch.with_data(image=grey))
    np.testing.assert_array_equal(found, encoder.embed(three))


def test_grey_images_serve_an_encoder_of_colour_and_others_are_refused(encoder, batch):
    grey = batch.data["image"].mean(-1, keepdims=True).astype(np.uint8)
    repeated = batch.with_data(image=np.repeat(grey, 3, axis=-1))
    found = encoder.embed(batch.with_data(image=grey))
    np.testing.assert_array_equal(found, encoder.embed(repeated))
    four = batch.with_data(image=np.repeat(grey, 4, axis=-1))
    with pytest.raises(UsageError, match="images of 3 channels"):
        encoder.embed(four)


@pytest.mark.parametrize("canvas", [24, 32, 128, 224, 512])
def test_scales_are_bounded_whatever_the_canvas(canvas):
    sides = default_sides(canvas)
    assert sides[0] == max(24, canvas)
    assert 1 <= len(sides) <= 4
    assert min(sides) >= 12


def test_a_large_canvas_ends(batch):
    large = batch.with_data(image=np.repeat(np.repeat(batch.data["image"], 7, 1), 7, 2)[:40])
    some = Batch(batch.ids[:40], large.data, batch.group[:40], batch.digest[:40])
    fitted = PatchEncoder("fast").fit(some)
    assert fitted.absorbing(()).embed(some.take(slice(0, 2))).shape[0] == 2


def test_what_was_asked_for_is_not_chosen_again():
    assert PatchEncoder().absorbs == {"flip"}
    assert PatchEncoder(mirror=False).absorbs == PatchEncoder(mirror=True).absorbs == frozenset()


@pytest.mark.parametrize("pairs", ["none", "shuffled"])
def test_controls_of_the_patch_pairs_learn_something_else(encoder, batch, pairs):
    twin = PatchEncoder("fast", pairs=pairs).fit(batch)
    assert twin.width == encoder.width
    one, two = (e.streams[0].rows[:, :8] for e in (encoder, twin))
    spans = [np.linalg.qr(rows)[0] for rows in (one, two)]
    assert np.linalg.svd(spans[0].T @ spans[1], compute_uv=False).min() < 0.9


@pytest.mark.parametrize(
    ("side", "strides"), [(16, (1, 1)), (32, (2, 1)), (64, (3, 2)), (128, (6, 3))]
)
def test_a_dense_encoder_looks_at_more_patches(side, strides):
    found = [stream_specs([side], True, dense)[0].stride for dense in (False, True)]
    assert tuple(found) == strides


def test_no_founder_is_left_out_of_the_dictionary_sample():
    images = np.repeat(np.arange(30, dtype=np.uint8), 144).reshape(30, 12, 12, 1)
    spec = stream_specs([12], False)[0]
    found = _sample_patches(spec, images, 40, np.random.default_rng(0))
    assert len(found) == 40
    assert found[:, 0].mean() == pytest.approx(14.5, abs=3)
    assert found.max() >= 28  # the last ones too


# plain light


def brightened(batch, by):
    images = np.clip(np.asarray(batch.data["image"], float) * 0.5 + by, 0, 255)
    return batch.with_data(image=images.astype(np.uint8))


def test_brightness_is_in_the_features(encoder, batch):
    dark, light = (encoder.embed(brightened(batch, by)) for by in (0, 100))
    count = module.BINS * module.BINS // 2 * encoder.tones
    gain = (light - dark)[:, -count:].mean(1)
    assert (gain > 0).all()
    assert np.std(gain) < 0.1 * np.mean(gain)
    assert np.abs((light - dark)[:, :-count]).max() < 1.0


def test_light_survives_being_written_down(encoder, batch):
    twin = PatchEncoder.from_state(*encoder.state())
    assert twin.tones == encoder.tones == 3
    np.testing.assert_array_equal(twin.embed(batch), encoder.embed(batch))


def test_encoders_written_before_there_was_light_stay_as_they_were(encoder, batch):
    settings, arrays = encoder.state()
    older = PatchEncoder.from_state({k: v for k, v in settings.items() if k != "tones"}, arrays)
    assert older.width == encoder.width - module.BINS * module.BINS // 2 * 3
    np.testing.assert_array_equal(older.embed(batch), encoder.embed(batch)[:, : older.width])


def test_mirrored_images_have_the_same_light(encoder, batch):
    flipped = batch.with_data(image=batch.data["image"][:, :, ::-1])
    count = module.BINS * module.BINS // 2 * encoder.tones
    same, turned = (encoder.embed(each)[:, -count:] for each in (batch, flipped))
    np.testing.assert_allclose(same, turned, atol=1e-6)
    both = encoder.absorbing(())
    assert both.width == 2 * encoder.width
    lost = [both.embed(each)[:, -count:] for each in (batch, flipped)]
    np.testing.assert_allclose(lost[0], -lost[1], atol=1e-6)
