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
def test_no_call_reads_or_writes_outside_of_its_arrays(tmp_path):
    made = tmp_path / "kernel.so"
    flags = ["-O1", "-g", "-fPIC", "-shared", "-fsanitize=address,undefined"]
    flags += ["-fno-sanitize=alignment,shift", "-fno-sanitize-recover=address"]
    include = sysconfig.get_paths()["include"]
    command = ["gcc", *flags, f"-I{include}", str(SOURCE), "-o", str(made)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the kernel can't be compiled with a sanitizer here: {built.stderr[:200]}")
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    known = {**os.environ, "LD_PRELOAD": found.stdout.strip(), "PYTHONMALLOC": "malloc"}
    known["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1"
    said = subprocess.run(
        [sys.executable, str(FUZZ), str(made), "20000"],
        env=known,
        capture_output=True,
        text=True,
        check=False,
    )
    print(said.stdout, said.stderr[-3000:])
    assert said.returncode == 0
    assert "AddressSanitizer" not in said.stderr
    assert "case 1" in said.stdout
    assert "case -1" in said.stdout


def stream_of(run):
    return stepwell.load(run).encoder.streams[0]


@pytest.mark.skipif(fused.library() is None, reason="the kernel is not compiled here")
@pytest.mark.parametrize("even", [160, -4096, 10**6])
def test_the_kernel_refuses_sizes_that_do_not_fit(photos_run, even):
    stream = replace(stream_of(photos_run), even=even)
    side, channels = stream.spec.side, len(stream.mean) // 36
    with pytest.raises(ValueError, match="do not fit"):
        fused.Fused(stream)(np.zeros((2, side, side, channels), np.float32))


@pytest.mark.parametrize(
    "change",
    [
        {"even": 160},
        {"even": -4096},
        {"side": 10**9},
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
