"""Real images for the demo: Fashion-MNIST if it is here or may be fetched, else digits."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.files import write_atomic
from stepwell.run import Run
from stepwell.sources.idx import IdxSource

Pair = tuple[NDArray, NDArray]
"""Images and their labels."""
PLACES = (Path("/usr/share/datasets/fashion-mnist"),)
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FILES = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""MD5 sums as published with the data set (github.com/zalandoresearch/fashion-mnist)."""


@dataclass
class DemoData:
    """Files to learn from and to test on, and what they are."""

    train: Path
    test: Path
    what: str


def demo_data(
    folder: Path | None, examples: int, beside: Path, *, download: bool = False
) -> DemoData:
    """Fashion-MNIST from ``folder`` or the usual places, or digits.

    A part of it is written next to the run, as ``beside-train.npz`` and ``beside-test.npz``,
    so that every verb can be tried on plain files.
    """
    places = [folder] if folder else [_cache(), *PLACES]
    if download and not _fashion(places):
        fetch(_cache())
    if place := _fashion(places):
        train, test = (_first(place, s, n) for s, n in _parts(examples))
        return _written(beside, train, test, f"Fashion-MNIST in {place}")
    if folder:
        raise StepwellError(f"Expected Fashion-MNIST's four files in {folder}, found others.")
    return _written(beside, *_digits())


def guard(out: Path) -> None:
    """Refuse to replace a run that is no demo's."""
    if (out / "config.toml").is_file():
        source = Run(out).config["source"].get("path") or ""
        if Path(source).name != f"{out.name}-train.npz":
            raise UsageError(
                f"Expected a free name or an older demo at {out}, found a run of your own "
                f"({source or 'an array'}): choose another --out."
            )
        if (out / "parts" / "tuned").exists():
            raise UsageError(
                f"Expected an older demo at {out}, found one that was fine-tuned, whose labels "
                f"would go with it: choose another --out, or remove it."
            )


def _parts(examples: int) -> list[tuple[str, int]]:
    return [("train", examples), ("test", examples // 5)]


def _written(beside: Path, train: Pair, test: Pair, what: str) -> DemoData:
    beside.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (images, labels) in (("train", train), ("test", test)):
        path = beside.with_name(f"{beside.name}-{name}.npz")
        packed = io.BytesIO()
        np.savez(packed, images=images, labels=labels)
        write_atomic(path, packed.getvalue())
        paths.append(path)
    return DemoData(paths[0], paths[1], what)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stepwell" / "fashion-mnist"


def _fashion(places: Iterable[Path]) -> Path | None:
    """The first of these folders that holds all four files of Fashion-MNIST."""
    return next((p for p in places if all((p / name).is_file() for name in FILES)), None)


def _first(place: Path, split: str, count: int) -> Pair:
    """The first ``count`` images of a split, and their labels."""
    source = IdxSource(place, split=split)
    parts, ids = [], []
    for batch in source.batches(1000):
        parts.append(np.asarray(batch.data["image"]))
        ids += [str(i) for i in batch.ids]
        if len(ids) >= count:
            break
    known = source.labels() or {}
    return np.concatenate(parts)[:count], np.array([known[i] for i in ids[:count]])


def demo_images() -> Any:
    """The demo's images as a source: Fashion-MNIST where it is, else digits."""
    place = _fashion([_cache(), *PLACES])
    return str(place) if place else _digits()[0][0]


def _digits() -> tuple[Pair, Pair, str]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    cut = len(images) * 4 // 5
    what = (
        "scikit-learn's digits, 8 × 8 (Fashion-MNIST is not on this machine; "
        "`stepwell demo --download` fetches it)"
    )
    return (images[:cut], digits.target[:cut]), (images[cut:], digits.target[cut:]), what


def fetch(folder: Path) -> None:
    """Download the four files and check their sums; only ever called when asked for."""
    from urllib.error import URLError
    from urllib.request import urlopen

    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in FILES.items():
        try:
            with urlopen(ADDRESS + name, timeout=30) as answer:
                content = answer.read()
        except (URLError, OSError) as error:
            raise StepwellError(
                f"Expected to fetch {ADDRESS + name}, found {error}. Without --download the demo "
                f"runs on scikit-learn's digits."
            ) from None
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise StepwellError(f"Expected {name} with MD5 {expected}, found {found}: not kept.")
        write_atomic(folder / name, content)
