"""Word vectors in closed form beside gensim's, and what many texts cost.

    GENSIM=ENV/bin/python python benchmarks/words.py similarity growth > build/words.jsonl
    python benchmarks/words.py --table build/words.jsonl > benchmarks/results/words.md

Vectors are learned from training texts and judged on others: of each a random half of its words
looks for the other half among those of all. GENSIM names a Python that has gensim
(benchmarks/peers/gensim_words.py); without it only stepwell is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tables import emit, grouped, headed, run_parts, table

from stepwell.encoders import WordEncoder
from stepwell.encoders.words.encoder import WEIGHT, words_of
from stepwell.sources import HeldTexts, open_source

DATA = Path(__file__).parents[2] / "shared" / "data"
PEER = Path(__file__).parent / "peers" / "gensim_words.py"
SETTINGS = [
    ("word2vec", 5, 5),
    ("word2vec", 5, 20),
    ("word2vec", 20, 20),
    ("word2vec", 60, 20),
    ("fasttext", 5, 5),
    ("fasttext", 20, 20),
]
"""Of gensim: method, epochs, window; its own epochs and window first."""
SIZES = (62_500, 250_000, 1_000_000)
CHANGED = 0.1
"""Share of the words of a repeated sentence that others replace."""


def corpora() -> Iterator[tuple[str, list[str], list[str]]]:
    """Names, texts to learn from, and others to judge on."""
    yield "film reviews", *(_read(DATA / "sst2" / name) for name in ("train.tsv", "dev.tsv"))
    captions = (DATA / "multi30k" / name for name in ("train.en.gz", "val.en.gz"))
    yield "captions", *map(_read, captions)
    plays = (DATA / "tinyshakespeare.txt").read_text("utf-8")
    cut = plays.rindex("\n\n", 0, int(len(plays) * 0.9))
    sides = (side.split("\n\n") for side in (plays[:cut], plays[cut:]))
    yield "plays", *([part for part in side if part.strip()] for side in sides)


def _read(path: Path) -> list[str]:
    return [str(text) for batch in open_source(path).batches(512) for text in batch.data["text"]]


def similarity() -> None:
    """How often a half of a text that is new finds its other half, by whose word vectors."""
    for corpus, texts, others in corpora():
        parted = [words_of(text) for text in texts]
        known = Counter(word for text in parted for word in text)
        halves = _halves(others)
        asked = {word for half in halves for side in half for word in side}
        for name, vectors, cost in _contestants(texts, parted, sorted(asked)):
            for way in ("mean", "weighted"):
                right = _found(halves, vectors, known if way == "weighted" else None)
                row = {"corpus": corpus, "name": name, "way": way, "of": len(halves)}
                emit(part="similarity", right=right, **row, **cost)


def _contestants(
    texts: list[str], parted: list[list[str]], asked: list[str]
) -> Iterator[tuple[str, dict, dict]]:
    """Names, vectors of the words that are asked for, and what these cost."""
    founders = next(HeldTexts(texts).batches(len(texts)))
    begun, cpu = time.perf_counter(), time.process_time()
    encoder = WordEncoder().fit(founders)
    cost = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
    cost["tokens"] = sum(map(len, parted))
    yield "stepwell", dict(zip(encoder.words, encoder.vectors, strict=True)), cost
    peer = os.environ.get("GENSIM")
    if peer is None:
        return
    with TemporaryDirectory() as folder:
        file, out, words = (Path(folder) / name for name in ("texts.txt", "out.npz", "words.txt"))
        file.write_text("\n".join(" ".join(text) for text in parted), encoding="utf-8")
        words.write_text("\n".join(asked), encoding="utf-8")
        for method, epochs, window in SETTINGS:
            told = ["--method", method, "--epochs", str(epochs), "--window", str(window)]
            told += ["--words", str(words)]
            subprocess.run([peer, str(PEER), str(file), str(out), *told], check=True)
            with np.load(out) as found:
                vectors = dict(zip(found["words"].tolist(), found["vectors"], strict=True))
                cost = {name: float(found[name]) for name in ("seconds", "cpu", "tokens")}
            yield f"gensim {method}, {epochs} epochs, window {window}", vectors, cost


def _halves(texts: list[str]) -> list[tuple[list[str], list[str]]]:
    rng, found = np.random.default_rng(0), []
    for text in texts:
        words = words_of(text)
        if len(words) >= 8:
            first = rng.permutation(len(words)) < len(words) // 2
            sides = [
                [w for w, own in zip(words, side, strict=True) if own] for side in (first, ~first)
            ]
            found.append((sides[0], sides[1]))
    return found


def _found(halves: Any, vectors: dict, known: Counter | None) -> float:
    """Share of first halves to which their own second half is nearest, in per cent."""
    sides = [np.array([_mean(half[k], vectors, known) for half in halves]) for k in (0, 1)]
    nearest = (sides[0] @ sides[1].T).argmax(1)
    return float(100 * (nearest == np.arange(len(halves))).mean())


def _mean(words: list[str], vectors: dict, known: Counter | None) -> Any:
    """Mean of the vectors of words, of length 1; frequent ones weighing less, if told."""
    width = len(next(iter(vectors.values())))
    total = known.total() if known is not None else 1
    found = np.zeros(width)
    for word in words:
        if word in vectors:
            weight = WEIGHT / (WEIGHT + known[word] / total) if known is not None else 1.0
            found += weight * np.asarray(vectors[word], np.float64)
    return found / max(np.linalg.norm(found), 1e-12)


def growth() -> None:
    """Seconds and memory of `stepwell learn`, by the number of sentences."""
    texts = [text.split() for _, some, _ in corpora() for text in some if "\n" not in text]
    with TemporaryDirectory() as folder:
        file, run = Path(folder) / "texts.txt", Path(folder) / "run"
        for size in SIZES:
            words = _repeated(file, texts, size)
            told = ["learn", str(file), "--out", str(run), "-o", "unit=line", "--overwrite"]
            command = [sys.executable, "-m", "stepwell", *told, "--no-report"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            cost = tomllib.loads((run / "config.toml").read_text())["cost"]
            emit(part="growth", sentences=size, words=words, bytes=file.stat().st_size, **cost)


def _repeated(file: Path, texts: list[list[str]], size: int) -> int:
    """Write so many texts, drawn again and some of their words changed; how many words these
    are."""
    rng, count = np.random.default_rng(0), 0
    every = np.array([word for text in texts for word in text], object)
    with open(file, "w", encoding="utf-8") as out:
        for row in rng.integers(0, len(texts), size):
            own = np.array(texts[row], object)
            changed = rng.random(len(own)) < CHANGED
            own[changed] = every[rng.integers(0, len(every), int(changed.sum()))]
            out.write(" ".join(own) + "\n")
            count += len(own)
    return count


def _similarity(rows: list[dict[str, Any]]) -> str:
    lines = []
    for (corpus, name), ways in grouped(rows, "corpus", "name").items():
        found = [f"{row['right']:.1f} ± {_off(row['right'], row['of']):.1f}" for row in ways]
        row = ways[0]
        pace = row["tokens"] / row["cpu"] / 1000
        lines.append([corpus, name, *found, f"{row['cpu']:.1f}", f"{pace:.0f}"])
    head = ["texts", "vectors by", "mean", "weighted", "CPU s", "thousand words a CPU s"]
    return table(head, lines)


def _off(right: float, count: int) -> float:
    """Half of a 95 % interval of a share in per cent."""
    return float(196 * np.sqrt(right / 100 * (1 - right / 100) / count))


def _growth(rows: list[dict[str, Any]]) -> str:
    lines = [
        [
            f"{row['sentences']:,}",
            f"{row['seconds']:.0f}",
            f"{row['cpu_seconds']:.0f}",
            f"{row['peak_mb']:.0f}",
            f"{row['words'] / row['seconds'] / 1000:.0f}",
            f"{1e6 * row['seconds'] / row['sentences']:.0f}",
        ]
        for row in rows
    ]
    head = ["sentences", "s", "CPU s", "MB at most", "thousand words a s", "µs a sentence"]
    return table(head, lines)


HEAD = headed("Words: what is measured", "words.py")
TABLES = {
    "similarity": (
        "Word vectors beside gensim's",
        "200 numbers a word, learned from the training texts; share (%) of random halves of texts "
        "that were held out which find their other half, by the mean of their words' vectors, and "
        "by one that gives frequent words less weight (both the same for all); ± of a 95 % "
        "interval. CPU seconds on two cores: to part texts into words, count and solve; or to "
        "build the vocabulary and train, on words that are parted already. gensim: skip-gram, "
        "words that come twice.",
        _similarity,
    ),
    "growth": (
        "Many texts",
        "`stepwell learn texts.txt -o unit=line --no-report`, all of it: sentences of reviews and "
        "captions, drawn again and a tenth of their words changed.",
        _growth,
    ),
}

if __name__ == "__main__":
    run_parts(__doc__, {"similarity": similarity, "growth": growth}, HEAD, TABLES)
