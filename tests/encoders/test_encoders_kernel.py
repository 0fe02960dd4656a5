"""The compiled kernel checks what it is given, whoever says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomli_w

import stepwell
from stepwell.encoders.patches import fused
from stepwell.interfaces import StepwellError

SOURCE = Path(fused.__file__).with_name("fused.c")
FUZZ = Path(__file__).with_name("asan_kernel.py")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to compile the kernel with")
@pytest.mark.parametrize("which", ["-DSTEPWELL_WIDEST", "-DSTEPWELL_PLAIN"])
def test_no_call_reads_or_writes_outside_of_its_arrays(tmp_path, which):
    made = tmp_path / "kernel.so"
    flags = ["-O1", "-g", "-fPIC", "-shared", "-fsanitize=address,undefined,float-cast-overflow"]
    flags += ["-fno-sanitize-recover=all", which]
    include = sysconfig.get_paths()["include"]
    command = ["gcc", *flags, f"-I{include}", str(SOURCE), "-o", str(made)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the kernel can't be compiled with a sanitizer here: {built.stderr[:200]}")
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    if not Path(found.stdout.strip()).is_file():
        pytest.skip("no libasan beside gcc")
    known = {**os.environ, "LD_PRELOAD": found.stdout.strip(), "PYTHONMALLOC": "malloc"}
    known["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1"
    said = subprocess.run(
        [sys.executable, str(FUZZ), str(made), "10000"],
        env=known,
        capture_output=True,
        text=True,
        check=False,
    )
    print(said.stdout, said.stderr[-3000:])
    assert said.returncode == 0
    assert "Sanitizer" not in said.stderr
    assert "runtime error" not in said.stderr
    assert "case 1" in said.stdout
    assert "case -1" in said.stdout


def stream_of(run):
    return stepwell.load(run).encoder.streams[0]


@pytest.mark.skipif(fused.library() is None, reason="the kernel is not compiled here")
@pytest.mark.parametrize("even", [160, -4096, 10**6])
def test_the_kernel_refuses_sizes_that_do_not_fit(photos_run, even):
    stream = stream_of(photos_run)
    laid, wrong = fused.Fused(stream), replace(stream, even=even)
    images = np.zeros((2, *[stream.spec.side] * 2, len(stream.mean) // 36), np.float32)
    assert np.isfinite(laid(images)).all()
    with pytest.raises(ValueError, match="do not fit"):
        fused.Fused(wrong)
    laid._stream = wrong  # what gets past Python is refused in C
    with pytest.raises(ValueError, match="do not fit"):
        laid(images)


@pytest.mark.skipif(fused.library() is None, reason="the kernel is not compiled here")
@pytest.mark.parametrize("name", ["mean", "whiten", "dict", "start", "rows", "offset", "pool"])
def test_the_kernel_refuses_arrays_that_are_too_short(photos_run, name):
    stream = stream_of(photos_run)
    laid = fused.Fused(stream)
    place = fused._ARRAYS.index(name)
    laid._arrays[place] = laid._arrays[place].ravel()[:-1]
    images = np.zeros((1, *[stream.spec.side] * 2, len(stream.mean) // 36), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        laid(images)


@pytest.mark.skipif(fused.library() is None, reason="the kernel is not compiled here")
@pytest.mark.parametrize(
    "change",
    [
        {"offset": lambda s: s.offset[:1]},
        {"mean": lambda s: s.mean[:-1]},
        {"whiten": lambda s: s.whiten[:, :2]},
        {"rows": lambda s: s.rows[:-1]},
        {"rows": lambda s: np.concatenate([s.rows] * 3)},
        {"atoms": lambda s: s.atoms.astype(np.int32)},
    ],
)
def test_what_the_kernel_could_not_be_laid_out_of_is_refused(photos_run, change):
    stream = stream_of(photos_run)
    with pytest.raises(ValueError, match="do not fit"):
        fused.Fused(replace(stream, **{name: made(stream) for name, made in change.items()}))


@pytest.mark.parametrize(
    "change",
    [
        {"even": 160},
        {"even": -4096},
        {"side": 10**9},
        {"side": 2400},
        {"side": 3},
        {"stride": 0},
        {"colour": 3},
        {"threshold": float("nan")},
    ],
)
def test_settings_that_do_not_fit_are_no_part(photos_run, tmp_path, change):
    shutil.copytree(photos_run, tmp_path / "run")
    part = tmp_path / "run" / "parts" / "encoder" / "part.toml"
    settings, _ = stepwell.load(photos_run).encoder.state()
    settings["streams"][0] |= change
    part.write_text(tomli_w.dumps({"kind": "patches", "settings": settings}), "utf-8")
    with pytest.raises(StepwellError, match="Expected a whole part"):
        stepwell.load(tmp_path / "run").encoder  # noqa: B018


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("0.offset", lambda a: a[:1]),
        ("0.offset", lambda a: a[:0]),
        ("0.whiten", lambda a: a[:, :3]),
        ("0.whiten", lambda a: a[:1]),
        ("0.rows", lambda a: np.concatenate([a] * 3)),
        ("0.rows", lambda a: a.astype(np.float16) * np.float16(np.inf)),
        ("0.atoms", lambda a: a.astype(np.int16)),
        ("0.mean", lambda a: a[None]),
        ("9.mean", lambda a: a),
    ],
)
def test_arrays_that_do_not_fit_are_no_part(photos_run, tmp_path, name, change):
    from safetensors.numpy import load_file, save_file

    shutil.copytree(photos_run, tmp_path / "run")
    path = tmp_path / "run" / "parts" / "encoder" / "arrays.safetensors"
    arrays = load_file(path)
    with np.errstate(invalid="ignore"):
        arrays[name] = np.ascontiguousarray(change(arrays.get(name, arrays["0.mean"])))
    save_file(arrays, path)
    with pytest.raises(StepwellError, match="Expected a whole part"):
        stepwell.load(tmp_path / "run").encoder  # noqa: B018
