"""What tests share that is no fixture: plug-ins to install, images to write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from stepwell.kit import plugins

PLUGINS = Path(__file__).parent / "plugins"
START = "from stepwell.cli import main; main()"


@dataclass
class Said:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@contextmanager
def installed(*names: str) -> Iterator[None]:
    """Plug-ins of tests/plugins, found by their entry points in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.syspath_prepend(PLUGINS / name)
        plugins._installed.cache_clear()
        try:
            yield
        finally:
            patch.undo()
            plugins._installed.cache_clear()


def environment(*names: str) -> dict[str, str]:
    """The environment of a process in which plug-ins of tests/plugins are installed."""
    paths = [str(PLUGINS / name) for name in names]
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **one, "PYTHONPATH": os.pathsep.join(paths)}


def write_digits(root: Path, count: int, first: int = 0) -> Path:
    """Handwritten digits, 8 × 8, as ``train/LABEL/NUMBER.png``."""
    digits = load_digits()
    for i in range(first, first + count):
        file = root / "train" / str(digits.target[i]) / f"{i:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(digits.images[i] * (255 / 16)).astype(np.uint8)).save(file)
    return root


def heed() -> None:
    """Let a process be interrupted, even where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begun(src: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    """A ``stepwell learn`` that has just begun to write its run."""
    command = [sys.executable, "-c", START, "learn", str(src), "--out", str(out), *words]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, env=environment("tiny"), stderr=pipe, stdout=pipe, text=True, preexec_fn=heed
    )
    deadline = time.monotonic() + 60
    while not list(out.parent.glob(f".{out.name}.*.partial")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


def photo_windows(count: int) -> np.ndarray:
    """(count, 32, 32, 3) windows of scikit-learn's two photographs."""
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    windows = []
    for i in range(count):
        photo = photos[i % 2]
        y, x = (rng.integers(0, size - 32) for size in photo.shape[:2])
        windows.append(photo[y : y + 32, x : x + 32])
    return np.stack(windows)


def write_network(
    path: Path, shape: tuple[int | str, ...] = ("n", 3, "h", "w"), *, pooled: bool = False
) -> Path:
    """An ONNX network that gives its input back, as a map or averaged over positions."""
    import onnx

    given = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, list(shape))
    names = ["n", 3] if pooled else ["n", 3, "a", "b"]
    out = onnx.helper.make_tensor_value_info("seen", onnx.TensorProto.FLOAT, names)
    kind = "ReduceMean" if pooled else "Identity"
    facts = {"axes": [2, 3], "keepdims": 0} if pooled else {}
    node = onnx.helper.make_node(kind, ["pixels"], ["seen"], **facts)
    graph = onnx.helper.make_graph([node], "g", [given], [out])
    opset = onnx.helper.make_opsetid("", 13)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def tiny_net(channels: int = 3) -> Any:
    """A convnet of 16 features: a backbone of one's own."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1)
    )


def broken_net() -> Any:
    """A backbone that gives nothing but NaN."""
    from torch import nn

    class Broken(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean((2, 3)) * float("nan")

    return Broken()


def no_net() -> Any:
    """No module at all."""
    return 7
