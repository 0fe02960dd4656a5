"""Small runs of every kind, one file of which is damaged by a seed and which are then used."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mutate import mutated
from PIL import Image
from structures import changed

import stepwell
from stepwell.encoders.patches.encoder import PatchEncoder
from stepwell.interfaces import StepwellError
from stepwell.sources import open_source

SIDE, COUNT = 24, 24
BRIEFLY = {"samples": 64, "batch": 16, "device": "cpu"}
WORDS = ("warm", "quiet", "story", "friends", "dull", "plot", "end", "sight", "old", "told")
WORDS += ("well", "film")
TEXTS = [" ".join(random.Random(i).choices(WORDS[: 6 + 6 * (i % 2)], k=8)) for i in range(60)]
_LEFT_ALONE = ("card.md",)
"""Read by nobody."""


def images(folder: Path) -> Path:
    """Two classes of them."""
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        path = folder / "images" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        pixels[: 12 * (i % 2) + 4] //= 4
        Image.fromarray(pixels).save(path)
    return folder / "images"


def texts(folder: Path) -> Path:
    """Two classes of them."""
    rows = "".join(f"{text},{'ab'[i % 2]}\n" for i, text in enumerate(TEXTS))
    (folder / "t.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return folder / "t.csv"


def _tuned(source: Path, out: Path, **options: Any) -> None:
    stepwell.learn(source, out, preset="fast", report=False, **options).finetune(source)


def _of_patches(folder: Path, out: Path) -> None:
    _tuned(images(folder), out)


def _of_places(folder: Path, out: Path) -> None:
    encoder = PatchEncoder("fast", sides=(12,))
    stepwell.learn(images(folder), out, encoder=encoder, report=False, pretext="order")


def _of_a_network(folder: Path, out: Path) -> None:
    _tuned(images(folder), out, engine="gradient", backbone="test_resnet", train=BRIEFLY)


def _of_words(folder: Path, out: Path) -> None:
    _tuned(texts(folder), out)


def _of_a_transformer(folder: Path, out: Path) -> None:
    from stepwell.encoders.transformer.encoder import TransformerEncoder

    _tuned(texts(folder), out, encoder=TransformerEncoder("fast"))


def _of_a_pretrained(folder: Path, out: Path) -> None:
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from text_models import bert

    from stepwell.encoders.transformer.pretrained import PretrainedEncoder

    _tuned(texts(folder), out, encoder=PretrainedEncoder(bert(folder / "bert")))


def _of_translations(folder: Path, out: Path) -> None:
    rng = random.Random(0)
    pairs = [rng.choices(range(12), k=6) for _ in range(80)]
    for name, end in (("a.en", ""), ("a.de", "en")):
        lines = (" ".join(WORDS[w] + end for w in row) for row in pairs)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = open_source(folder / "a.en", target=folder / "a.de")
    stepwell.learn(source, out, preset="fast", report=False, pretext="parallel", train=BRIEFLY)


MAKERS: dict[str, tuple[Callable[[Path, Path], None], int]] = {
    "patches": (_of_patches, 30),
    "words": (_of_words, 30),
    "places": (_of_places, 10),
    "network": (_of_a_network, 10),
    "transformer": (_of_a_transformer, 8),
    "pretrained": (_of_a_pretrained, 6),
    "translations": (_of_translations, 6),
}
"""How each is made, and its share of a campaign in per cent."""


def made(kind: str, folder: Path) -> Path:
    """A run that is whole, learned once a folder."""
    place = folder / kind
    if not (place / "run").is_dir():
        place.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MAKERS[kind][0](place, place / "run")
    return place / "run"


def one(kind: str, seed: int, folder: Path) -> str:
    """Use a damaged run: whether it could be used, or was refused as it should be."""
    draw, whole = random.Random(f"{kind} {seed}"), made(kind, folder)
    place = folder / f"{kind}-{os.getpid()}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place, copy_function=os.link)
    files = sorted(
        path for path in place.rglob("*") if path.is_file() and path.name not in _LEFT_ALONE
    )
    # The encoder is what computes most with what it is told.
    likely = [path for path in files if path.parent.name in ("encoder", "map", "tuned", "head")]
    damage(draw.choice(likely if likely and draw.random() < 0.5 else files), files, seed, draw)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return use(kind, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def undamaged(kind: str, seed: int, folder: Path) -> str:
    """The same with a run that is whole: all of it works."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return use(kind, made(kind, folder))


def damage(path: Path, files: list[Path], seed: int, draw: random.Random) -> None:
    """One file, or where it stands."""
    content, how = path.read_bytes(), draw.random()
    path.unlink()  # the same file is in the run that stays whole
    if how < 0.02:
        return
    if how < 0.03:
        path.mkdir()
        return
    if how < 0.07:
        alike = [each for each in files if each.suffix == path.suffix and each != path] or [path]
        other = draw.choice(alike)
        content = other.read_bytes() if other.exists() else b""
    elif how < 0.7:
        content = changed(path.name, content, seed)
    else:
        content = mutated(content, seed)
    path.write_bytes(content)


def use(kind: str, place: Path) -> str:
    """What people do with a run; ``refused`` where all of it that failed told so."""
    try:
        run = stepwell.load(place)
    except StepwellError:
        return "refused"
    refused = 0
    for verb in _verbs(kind, run):
        try:
            verb()
        except StepwellError:
            refused += 1
    return "refused" if refused else "read"


def _verbs(kind: str, run: Any) -> list[Callable[[], Any]]:
    from stepwell.cli.status import _facts, _phases

    if kind in ("words", "transformer", "pretrained", "translations"):
        some: Any = TEXTS[:4]
    else:
        some = np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    parts = [p.parent.relative_to(run.path / "parts") for p in run.path.rglob("part.toml")]
    others = [str(part) for part in parts if str(part) not in ("encoder", "map")]
    verbs: list[Callable[[], Any]] = [
        lambda: _facts(run.path),
        lambda: _phases(run.path),
        lambda: repr(run),
        lambda: run.embed(some),
        lambda: run.search(some[:1] if kind == "patches" else some[0], 3),
        lambda: run.search(str(run.index[0][0]), 3),
        lambda: run.answers,
        lambda: run.steps(),
        *(lambda name=name: _used(run.part(name)) for name in others),
    ]
    if (run.path / "parts" / "tuned").exists():
        verbs.append(lambda: run.predict(some))
    if kind == "translations":
        verbs.append(lambda: run.translate(TEXTS[0]))
    if (run.path / "counts.parquet").exists():
        verbs.append(lambda: run.generate("warm", 10))
    return verbs


def _used(part: Any) -> None:
    """What sums are for: they are added, and solved."""
    if hasattr(part, "law"):
        (part + part).law()
    elif hasattr(part, "solved"):
        with contextlib.suppress(AttributeError):
            (part + part).solved()
