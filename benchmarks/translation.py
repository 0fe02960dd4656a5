"""English to German on captions of pictures: all pairs, few pairs with and without texts that have
no translation, and a dictionary in closed form.

    python benchmarks/translation.py whole pretraining alignment > build/mt.jsonl
    python benchmarks/translation.py --table build/mt.jsonl > benchmarks/results/translation.md

Multi30k, 29,000 pairs to learn from, 1,014 others (``val``) to score on, which nothing was chosen
on. Texts without translation: English captions of one half of what is left of the pairs, German
ones of the other half, so that nobody's counterpart is among them. DEVICE=cuda trains elsewhere;
SEEDS=3 says how often; HELD=1 scores on the last 1,000 training pairs instead, to choose settings.
"""

from __future__ import annotations

import gzip
import os
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sacrebleu
from tables import emit, grouped, headed, run_parts, spread, table

import stepwell
from stepwell.encoders.words.encoder import words_of
from stepwell.engines import PairCounts
from stepwell.translating import scored, translate

DATA = Path(__file__).parents[2] / "shared" / "data" / "multi30k"
DEVICE = os.environ.get("DEVICE")
SEEDS = int(os.environ.get("SEEDS", "3"))
HELD = 1000 if os.environ.get("HELD") else 0
EPOCHS = {1000: 40, 5000: 8, 29000: 6}
"""Of tuning, by the number of pairs."""
BATCH = {1000: 128, 5000: 64, 29000: 128}
ALONE = 6
"""Epochs on texts without translation."""
OFTEN = 50
"""Words that come most often, which are not asked for."""
TUNED = {"rate": 1e-3, "warmup": 0.3}
"""A small rate that rises slowly, where there is something to keep."""


def read(name: str) -> list[str]:
    """Lines of a file, without those held back."""
    lines = every(name)
    return lines[:-HELD] if HELD and name.startswith("train") else lines


def every(name: str) -> list[str]:
    """All of them."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [line.strip() for line in file]


def asked() -> tuple[list[str], list[str]]:
    """What is scored: texts, and what they are in German."""
    if not HELD:
        return read("val.en.gz"), read("val.de.gz")
    return every("train.en.gz")[-HELD:], every("train.de.gz")[-HELD:]


def trained(folder: Path, samples: int, seed: int, **more: Any) -> dict[str, Any]:
    """Settings of a training."""
    options = {"samples": samples, "batch": BATCH[29000], "shuffled": False, **more}
    return {"train": options | ({"device": DEVICE} if DEVICE else {}), "seed": seed} | {
        "out": folder,
        "report": False,
    }


def pairs(folder: Path, rows: Any) -> tuple[Path, str]:
    """Files with some of the training pairs."""
    for side in ("en", "de"):
        lines = read(f"train.{side}.gz")
        (folder / f"pairs.{side}.txt").write_text("".join(f"{lines[row]}\n" for row in rows))
    return folder / "pairs.en.txt", str(folder / "pairs.de.txt")


def alone(folder: Path, rows: Any) -> Path:
    """A folder with English captions of one half of rows, and German ones of the other."""
    place = folder / "alone"
    place.mkdir()
    for side, own in (("en", rows[0::2]), ("de", rows[1::2])):
        lines = read(f"train.{side}.gz")
        (place / f"{side}.txt").write_text("".join(f"{lines[row]}\n" for row in own))
    return place


def whole() -> None:
    """All pairs, and what that costs."""
    english, german = asked()
    with TemporaryDirectory() as name:
        folder = Path(name)
        count = len(read("train.en.gz"))
        source, target = pairs(folder, range(count))
        begun, cpu = time.perf_counter(), time.process_time()
        run = stepwell.learn(
            stepwell.open_source(source, target=target),
            pretext="parallel",
            **trained(folder / "run", EPOCHS[29000] * count, 0),
        )
        cost = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
        for beam in (1, 5):
            begun = time.perf_counter()
            found = list(translate(run, english, beam=beam))
            each = (time.perf_counter() - begun) / len(english)
            emit(part="whole", pairs=count, beam=beam, each=each, **scored(found, german), **cost)
        emit(part="whole", pairs=0, who="the English text itself", **scored(english, german))
        for text, own in list(zip(english, found, strict=True))[:4]:
            emit(part="example", text=text, found=own)


def pretraining() -> None:
    """Few pairs, by small networks: from random weights, and from those that texts without
    translation have made."""
    english, german = asked()
    for seed in range(SEEDS):
        count = len(read("train.en.gz"))
        order = np.random.default_rng(seed).permutation(count)
        with TemporaryDirectory() as name:
            folder = Path(name)
            texts = alone(folder, order[5000:])
            before = stepwell.learn(
                stepwell.open_source(texts, unit="line"),
                pretext="order",
                preset="fast",
                **trained(folder / "before", ALONE * (count - 5000), seed),
            )
            for few in (1000, 5000):
                source, target = pairs(folder, order[:few])
                for begun in (None, before.path):
                    run = stepwell.learn(
                        stepwell.open_source(source, target=target),
                        pretext="parallel",
                        weights=begun,
                        preset="fast",
                        overwrite=True,
                        **trained(
                            folder / "run",
                            EPOCHS[few] * few * (1 if begun else 2),
                            seed,
                            batch=BATCH[few],
                            **(TUNED if begun else {}),
                        ),
                    )
                    found = list(translate(run, english))
                    emit(
                        part="pretraining",
                        pairs=few,
                        begun=bool(begun),
                        seed=seed,
                        found=found,
                        **scored(found, german),
                    )


def alignment() -> None:
    """For how many words of new texts the first meaning stands in the translation."""
    english, german = ([words_of(text) for text in side] for side in asked())
    sides = [[words_of(text) for text in read(f"train.{side}.gz")] for side in ("en", "de")]
    often = {word for word, _ in Counter(w for t in sides[0] for w in t).most_common(OFTEN)}
    for pairs in (0, 200, 500, 5000, len(sides[0])):
        counts = PairCounts()
        counts.add(*(side[:pairs] for side in sides))
        found = counts.solved()
        ways = {"spelled alike": {}, "Dice": dice(*(side[:pairs] for side in sides))}
        ways["ridge"] = {word: found.of(word, 1)[0][0] for word in found.source if found.of(word)}
        for name, meaning in ways.items():
            hits = [
                meaning.get(word, word) in there
                for text, there in zip(english, german, strict=True)
                for word in text
                if word not in often and word[0].isalpha()
            ]
            emit(part="alignment", pairs=pairs, name=name, right=100 * np.mean(hits), of=len(hits))


def dice(source: list[list[str]], target: list[list[str]]) -> dict[str, str]:
    """Meanings by counting alone: twice how often both stand together, over how often each does."""
    own, other = (Counter(w for t in side for w in set(t)) for side in (source, target))
    together = Counter(
        (a, b) for x, y in zip(source, target, strict=True) for a in set(x) for b in set(y)
    )
    best: dict[str, tuple[float, str]] = {}
    for (a, b), count in together.items():
        best[a] = max(best.get(a, (0.0, "")), (2 * count / (own[a] + other[b]), b))
    return {word: meaning for word, (_, meaning) in best.items()}


def _alignment(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(row["name"] for row in rows))
    found = {(row["pairs"], row["name"]): f"{row['right']:.1f}" for row in rows}
    counts = dict.fromkeys(row["pairs"] for row in rows)
    lines = [[f"{n:,}", *(found[n, name] for name in names)] for n in counts]
    return table(["pairs", *names], lines)


def _whole(rows: list[dict[str, Any]]) -> str:
    lines = [
        [
            row.get("who", f"stepwell, beam of {row.get('beam')}"),
            f"{row['BLEU']:.1f}",
            f"{row['chrF']:.1f}",
            f"{1000 * row['each']:.0f}" if "each" in row else "–",
            f"{row['cpu'] / 60:.0f}" if "cpu" in row else "–",
        ]
        for row in rows
    ]
    head = ["", "BLEU", "chrF", "ms a sentence", "CPU minutes to learn"]
    return table(head, lines) + f"\nsacreBLEU {rows[0]['signature']}.\n"


def _examples(rows: list[dict[str, Any]]) -> str:
    return table(["", "stepwell"], [[row["text"], row["found"]] for row in rows])


def _pretraining(rows: list[dict[str, Any]]) -> str:
    lines = []
    for (pairs,), same in grouped(rows, "pairs").items():
        sides = [[r["BLEU"] for r in same if r["begun"] is begun] for begun in (False, True)]
        gains = [after - before for before, after in zip(*sides, strict=True)]
        seeds = [np.mean(found) for found in bootstrapped(same)]
        low, high = np.quantile(seeds, [0.025, 0.975])
        lines.append(
            [
                f"{pairs:,}",
                *map(spread, sides),
                f"{np.mean(gains):+.1f} [{low:+.1f}, {high:+.1f}]",
                str(len(gains)),
            ]
        )
    return table(["pairs", "random weights", "pretrained", "gain", "seeds"], lines)


def bootstrapped(rows: list[dict[str, Any]], draws: int = 1000) -> list[list[float]]:
    """Gains of pretraining, by seed, on sentences drawn with replacement (Koehn, EMNLP 2004)."""
    _, german = asked()
    counted = [
        {row["begun"]: _counts(row["found"], german) for row in same}
        for same in grouped(rows, "seed").values()
    ]
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        some = rng.integers(0, len(german), len(german))
        found.append([_bleu(each[True][some]) - _bleu(each[False][some]) for each in counted])
    return found


def _counts(found: list[str], reference: list[str]) -> Any:
    """(n, 10): runs of one to four words that are right, and that there are; words of both."""
    judge = sacrebleu.BLEU(effective_order=True)
    told = [judge.sentence_score(a, [b]) for a, b in zip(found, reference, strict=True)]
    return np.array([[*own.counts, *own.totals, own.sys_len, own.ref_len] for own in told])


def _bleu(counts: Any) -> float:
    """Of sentences together."""
    *runs, own, other = counts.sum(0).tolist()
    return float(sacrebleu.BLEU.compute_bleu(runs[:4], runs[4:], own, other).score)


HEAD = headed("Translation: what is measured", "translation.py")
TABLES = {
    "whole": (
        "All pairs",
        "English to German, 29,000 pairs of captions, scored on 1,014 others. Two cores.",
        _whole,
    ),
    "example": ("What comes out", "The first of them.", _examples),
    "alignment": (
        "What words mean",
        "Share (%) of the words of 1,014 held-out captions, without the 50 most frequent, whose "
        "first meaning stands in the German caption, by the number of pairs it was learned from.",
        _alignment,
    ),
    "pretraining": (
        "Few pairs",
        "By `--preset fast`. From random weights, for 80 and 16 epochs at the usual rate; and from "
        "a transformer that has put captions without translation in order for six epochs (12,000 "
        "of each language, nobody's counterpart among them), for half as many at a smaller rate "
        "that rises slowly; batches of 128 and 64 pairs. BLEU; mean and standard deviation over "
        "seeds, each with other pairs; the gain with a 95 % interval over sentences drawn again.",
        _pretraining,
    ),
}

PARTS = {"whole": whole, "pretraining": pretraining, "alignment": alignment}

if __name__ == "__main__":
    run_parts(__doc__, PARTS, HEAD, TABLES)
