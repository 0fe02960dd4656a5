"""What fine-tuning forgets: a part of `finetune.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from images import DATA, idx
from tables import emit, grouped, spread, table

import stepwell as sw
from stepwell.interfaces import Batch, concatenate, ignore
from stepwell.kit.hashing import digest_rows

SEEDS = 5


def forget() -> None:
    """A network that was trained on clothes, then on a thousand photographs in grey: what it still
    tells of clothes by its old head."""
    from stepwell.adapt.tuning import Tuner, Tuning
    from stepwell.tuning import KEEP, RATE, probe_of

    clothes, names = idx("train", "images", 16).reshape(-1, 28, 28, 1), idx("train", "labels", 8)
    asked, theirs = (
        idx("t10k", "images", 16).reshape(-1, 28, 28, 1)[:2000],
        idx("t10k", "labels", 8)[:2000],
    )
    photographs = [grey(1000, 0), grey(2000, 1000)]
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            run = sw.learn(
                clothes[:20_000],
                Path(folder) / "run",
                engine="gradient",
                backbone="convnet:small",
                train={"samples": 40_000, "shuffled": False},
                report=False,
                seed=seed,
            )
            encoder = run.encoder
        old, new = batch_of(clothes[20_000:24_000]), batch_of(photographs[0][0])

        def seen(encoder: Any, batch: Batch) -> np.ndarray:
            return np.asarray(encoder.embed(batch), np.float64)

        head = probe_of(seen(encoder, old), names[20_000:24_000])
        probe = probe_of(seen(encoder, new), photographs[0][1])
        unlabelled = batch_of(clothes[:2000])
        tests = (batch_of(photographs[1][0]), photographs[1][1]), (batch_of(asked), theirs)
        steps = 300
        ways = {
            "hot, all weights": {"keep": 0.0, "warmup": 0.02, "falloff": 1.0, "rate": 3e-3},
            "hot, smaller rate": {"keep": 0.0, "warmup": 0.02, "falloff": 1.0, "rate": 1e-3},
            "probe, then slowly": {"keep": 0.0, "rate": RATE},
            "ours": {"keep": KEEP, "rate": RATE},
        }
        for way, options in {"probe alone": {}, **ways}.items():
            twin, scorer = encoder.copied(), probe
            if options:
                tuner = Tuner(
                    encoder.module,
                    encoder.prepared,
                    probe,
                    Tuning(steps=steps, seed=seed, **options),
                )
                tuner.run(
                    shows(new),
                    photographs[0][1],
                    shows(unlabelled),
                    len(unlabelled),
                    ignore,
                )
                state, scorer = tuner.between(1.0, probe)
                twin.module.load_state_dict(state)
            scores = [
                100 * float((by(seen(twin, b)).argmax(1) == y).mean())
                for by, (b, y) in zip((scorer, head), tests, strict=True)
            ]
            emit(part="forget", seed=seed, way=way, new=scores[0], old=scores[1])


def shows(batch: Batch) -> Any:
    """Rows as they are."""
    return lambda rows, _: batch.data["image"][rows]


def grey(count: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs of CIFAR-10 in grey, 28 pixels a side, and their classes."""
    import io
    import zipfile
    from collections import defaultdict

    from PIL import Image

    images, labels, by = [], [], defaultdict(list)
    with zipfile.ZipFile(DATA / "cifar10-train.zip") as packed:
        for name in sorted(packed.namelist()):
            if name.endswith(".jpg"):
                by[name.split("/")[-2]].append(name)
        for kind, own in enumerate(by.values()):
            for name in own[first : first + count // len(by)]:
                image = Image.open(io.BytesIO(packed.read(name))).convert("L").resize((28, 28))
                images.append(np.array(image)[..., None])
                labels.append(kind)
    return np.array(images), np.array(labels)


def batch_of(images: np.ndarray) -> Batch:
    ids = np.array([str(i) for i in range(len(images))])
    return concatenate(
        [Batch(ids, {"image": images.copy()}, ids, digest_rows(x.tobytes() for x in images))]
    )


def forget_table(rows: list[dict]) -> str:
    lines = [
        [way, spread([r["new"] for r in same]), spread([r["old"] for r in same]), str(len(same))]
        for (way,), same in grouped(rows, "way").items()
    ]
    return table(["", "new task, %", "old task, %", "seeds"], lines)
