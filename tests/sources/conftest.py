"""Images on disk to read, and helpers to read all of a source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stepwell.interfaces import Batch, concatenate
from stepwell.sources import open_source

DATA = Path(os.environ.get("STEPWELL_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """A real data file, or a visible skip."""

    def found(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"real data file {name} is not here (set STEPWELL_DATA)")
        return DATA / name

    return found


@pytest.fixture(scope="session")
def read_all() -> Callable[..., Batch]:
    """Everything in a source, as one batch."""

    def read(where: object, size: int = 7, ids: object = None, **options: object) -> Batch:
        source = where if hasattr(where, "batches") else open_source(where, **options)
        return concatenate(source.batches(size, ids=ids))

    return read


@pytest.fixture(scope="session")
def pixels() -> Callable[..., NDArray[np.uint8]]:
    """Random pixels that are the same for the same seed and shape."""

    def make(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)

    return make


@pytest.fixture
def photos(tmp_path: Path, pixels: Callable[..., NDArray[np.uint8]]) -> Path:
    """40 PNGs of 12×12 in two folders, beside what is no image."""
    root = tmp_path / "photos"
    for i in range(40):
        file = root / ("cats" if i % 2 else "dogs") / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(12, 12, 3, seed=i)).save(file)
    for name in ("labels.csv", ".hidden.png", "cats/Thumbs.db", "__MACOSX/x.png", ".git/y.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("no image")
    return root
