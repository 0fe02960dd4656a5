"""Every verb once, on small data, with whatever versions are installed: ``python smoke.py``.

No pytest and no extras: the base install alone has to do it. What needs an extra has to say so.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from PIL import Image

EXTRA = ("export", "translate")
"""Verbs that need one: they must end with an error of ours, not with a traceback."""


def run(*words: object, code: int = 0) -> str:
    """What a verb prints; the end, unless it leaves with this code."""
    command = [sys.executable, "-m", "stepwell", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"{'ok  ' if done.returncode == code else 'FAIL'}  {' '.join(map(str, words[:2]))}")
    if done.returncode != code or "Traceback" in done.stderr:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(1)
    return done.stdout


def made(root: Path) -> None:
    """Images in two classes, texts in a table of each kind, and a labelled few."""
    for i in range(60):
        pixels = np.random.default_rng(i).integers(0, 90, (24, 24, 3), np.uint8)
        pixels[:, : 8 * (1 + i % 2)] += 120
        folder = root / "images" / ("wide" if i % 2 else "narrow")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    words = "warm quiet story friends dull plot end sight old told well film"
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words.split(), 9)) for _ in range(120)]
    labels = ["good" if "warm" in text else "bad" for text in texts]
    with open(root / "texts.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *zip(texts, labels, strict=True)])
    table = pa.table({"text": texts, "label": labels})
    parquet.write_table(table, root / "texts.parquet")
    with pa.ipc.new_file(str(root / "texts.arrow"), table.schema) as writer:
        writer.write_table(table)


def main() -> None:
    """Everything."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ |= {"XDG_CONFIG_HOME": str(root / "config"), "OMP_NUM_THREADS": "1"}
        made(root)
        images, texts, out, words = (root / n for n in ("images", "texts.csv", "run", "words"))
        run("doctor")
        run("learn", images, "--dry-run")
        run("learn", images, "--out", out, "--preset", "fast", "--labels", images)
        run("evaluate", out, "--labels", images, "--robust")
        run("suggest", out, "--n", 6, "--out", root / "few.csv")
        run("finetune", out, "--labels", images)
        run("predict", out, images, "--out", root / "told.csv")
        run("predict", out, images, "--coverage", 0.8, "--json")
        run("embed", out, images, "--out", root / "e.parquet")
        run("search", out, "wide/1.png", "--html", root / "found.html")
        run("steps", out)
        run("report", out)
        run("status", out)
        run("views", images, "--out", root / "views.png")
        run("theory", images, "--out", root / "theory")
        for kind in ("csv", "parquet", "arrow"):
            run("learn", root / f"texts.{kind}", "--out", f"{words}-{kind}", "--preset", "fast")
        words = Path(f"{words}-csv")
        run("finetune", words, "--labels", texts)
        run("predict", words, "a warm and quiet film", "--why")
        run("generate", words, "--prompt", "the ", "--length", 20)
        run("learn", images, "--out", out, "--preset", "fast", "--overwrite", "--no-report")
        json.loads(run("status", out, "--json"))
        run("translate", words, "a word", code=2)
        print("every verb works with these versions")


if __name__ == "__main__":
    main()
