"""Reads mutated files one after the other, and writes down what happens.

``python worker.py KIND SEED FIRST COUNT FOLDER``.

A line of the journal for each case: its number when it begins, ``ok``, ``ours`` or the name of an
exception that is not ours when it ends. Whoever started it sees from the last line where it died or
hangs; the seed and the number make the same file again.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import shutil
import struct
import sys
import tarfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

warnings.simplefilter("ignore")
Files = dict[str, bytes]
"""What a case consists of, by name."""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with some bytes flipped, cut, doubled, moved or replaced."""
    raw = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not raw:
            break
        at, how = rng.randrange(len(raw)), rng.randrange(8)
        if how == 0:
            raw[at] = rng.randrange(256)
        elif how == 1:
            raw[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            del raw[at : at + rng.choice((1, 2, 8, 64))]
        elif how == 3:
            raw[at:at] = raw[at : at + rng.choice((1, 4, 32))]
        elif how == 4:
            del raw[at:]
        elif how == 5:
            raw[at : at + 4] = struct.pack("<i", rng.choice((-1, 0, 2**31 - 1, 2**16, 255)))
        elif how == 6:
            raw[at : at + 8] = rng.randbytes(8)
        else:
            raw[at:at] = rng.choice((b'"', b"\0", b"\n", b"\r", b",", b"[", b"\xff\xfe", b"9" * 12))
    return bytes(raw)


def pixels(i: int) -> Any:
    return np.random.default_rng(i).integers(0, 256, (12, 12, 3), np.uint8)


def picture(i: int, kind: str = "PNG") -> bytes:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(pixels(i)).save(held, kind)
    return held.getvalue()


WORDS = "warm quiet story friends dull plot end sight old told well film"
TEXTS = [" ".join(random.Random(i).choices(WORDS.split(), k=8)) for i in range(40)]


def folder(kind: str) -> Files:
    return {f"{i}.{kind.lower()}": picture(i, kind) for i in range(9)}


def zipped() -> Files:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(9):
            file.writestr(f"c{i % 2}/{i}.png", picture(i))
    return {"a.zip": held.getvalue()}


def tarred(mode: str) -> Files:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=f"w:{mode}") as file:
        for i in range(9):
            info = tarfile.TarInfo(f"c{i % 2}/{i}.png")
            info.size = len(picture(i))
            file.addfile(info, io.BytesIO(picture(i)))
    return {f"a.tar{'.' if mode else ''}{mode}": held.getvalue()}


def array(name: str) -> Files:
    held, images = io.BytesIO(), np.stack([pixels(i) for i in range(9)])
    if name.endswith("npy"):
        np.save(held, images)
    else:
        np.savez_compressed(held, images=images, labels=np.arange(9) % 2)
    return {name: held.getvalue()}


def idx(packed: bool) -> Files:
    images = np.stack([pixels(i)[..., 0] for i in range(9)])
    raw = struct.pack(">HBBIII", 0, 8, 3, *images.shape) + images.tobytes()
    end = ".gz" if packed else ""
    return {f"train-images-idx3-ubyte{end}": gzip.compress(raw) if packed else raw}


def table(name: str, what: str) -> Files:
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as parquet

    labels = [i % 2 for i in range(40)]
    if what == "text":
        made = pa.table({"text": TEXTS, "label": labels})
    else:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        cells = [{"bytes": picture(i), "path": None} for i in range(40)]
        made = pa.table({"image": pa.array(cells, kind), "label": labels})
    held = io.BytesIO()
    if name.endswith("parquet"):
        parquet.write_table(made, held, row_group_size=16)
    elif name.endswith("feather"):
        feather.write_feather(made, held)
    else:
        with pa.ipc.new_stream(held, made.schema) as writer:
            writer.write_table(made, max_chunksize=16)
    files = {name: held.getvalue()}
    if name.startswith("data-"):
        notes = {"text": {"_type": "Value"}, "label": {"_type": "ClassLabel", "names": ["a", "b"]}}
        files["dataset_info.json"] = json.dumps({"features": notes}).encode()
        files["state.json"] = json.dumps({"_data_files": [{"filename": name}]}).encode()
    return files


def written(name: str) -> Files:
    if "jsonl" in name:
        rows = [json.dumps({"text": t, "label": "ab"[i % 2]}) for i, t in enumerate(TEXTS)]
    elif ".json" in name:
        rows = [json.dumps([{"data": {"text": t}} for t in TEXTS])]
    elif "tsv" in name:
        rows = ["text\tlabel", *(f'"{t}"\t{"ab"[i % 2]}' for i, t in enumerate(TEXTS))]
    elif "csv" in name:
        rows = ["text,label", *(f'"{t}, ""so""",{"ab"[i % 2]}' for i, t in enumerate(TEXTS))]
    else:
        rows = TEXTS
    raw = "\n".join(rows).encode()
    return {name: gzip.compress(raw) if name.endswith("gz") else raw}


SOURCES: dict[str, Callable[[], Files]] = {
    **{
        kind: lambda kind=kind: folder(kind)
        for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP")
    },
    "zip": zipped,
    "tar": lambda: tarred(""),
    "tar.gz": lambda: tarred("gz"),
    "tar.xz": lambda: tarred("xz"),
    "npy": lambda: array("a.npy"),
    "npz": lambda: array("a.npz"),
    "idx": lambda: idx(False),
    "idx.gz": lambda: idx(True),
    "parquet of images": lambda: table("a.parquet", "image"),
    "parquet of texts": lambda: table("a.parquet", "text"),
    "arrow of images": lambda: table("a.arrow", "image"),
    "arrow of texts": lambda: table("a.arrow", "text"),
    "feather": lambda: table("a.feather", "text"),
    "saved dataset": lambda: table("data-00000-of-00001.arrow", "text"),
    **{
        name: lambda name=name: written(f"a.{name}")
        for name in ("csv", "tsv", "jsonl", "json", "txt", "csv.gz", "txt.gz")
    },
    "labels": lambda: {"l.csv": b"file,label\n" + b"".join(b"%d.png,a\n" % i for i in range(9))},
    "run of images": lambda: run("images"),
    "run of texts": lambda: run("texts"),
}
"""A small good one of each kind, that is mutated."""


def run(what: str) -> Files:
    """The files of a small run, fine-tuned."""
    import stepwell

    place = Path(sys.argv[5]) / f"made-{what}"
    if not (place / "run").is_dir():
        place.mkdir(exist_ok=True)
        if what == "texts":
            (place / "a.csv").write_bytes(written("a.csv")["a.csv"])
            source: Path = place / "a.csv"
        else:
            source = place / "images"
            for name, content in folder("PNG").items():
                target = source / "ab"[int(name[0]) % 2] / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        made = stepwell.learn(source, place / "run", preset="fast", report=False)
        made.finetune(source)
    root = place / "run"
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def read(kind: str, place: Path) -> None:
    """What a user does with such a thing."""
    from stepwell.sources import open_source

    if kind.startswith("run"):
        import stepwell
        from stepwell.scoring import read_scores

        opened = stepwell.load(place)
        read_scores(opened)
        some = TEXTS[:4] if "texts" in kind else np.stack([pixels(i) for i in range(4)])
        opened.embed(some)
        opened.search(some[:1] if "images" in kind else "warm", 3)
        opened.predict(list(some) if "texts" in kind else some)
        _ = opened.phases
        return
    if kind == "labels":
        from stepwell.labels import told

        told([f"{i}.png" for i in range(9)], place / "l.csv")
        return
    names = sorted(place.iterdir())
    source = open_source(names[0] if len(names) == 1 else place)
    count = sum(1 for _ in source.entries())
    for batch in source.batches(16):
        count -= len(batch)
    source.labels()


def main() -> None:
    """Some cases of a kind."""
    from stepwell.interfaces import StepwellError

    kind, seed, first, many, where = *sys.argv[1:2], *map(int, sys.argv[2:5]), Path(sys.argv[5])
    good, place = SOURCES[kind](), where / "case"
    with open(where / "journal", "a", encoding="utf-8") as journal:
        for case in range(first, first + many):
            print(case, file=journal, flush=True)
            rng = random.Random(f"{kind} {seed} {case}")
            shutil.rmtree(place, ignore_errors=True)
            spoilt = rng.choice(sorted(good))
            for name, content in good.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(mutated(content, rng) if name == spoilt else content)
            try:
                read(kind, place)
                result = "ok"
            except StepwellError:
                result = "ours"
            except Exception as error:
                result = f"{type(error).__name__}: {spoilt}: {str(error)[:200]!r}"
                traceback.print_exc()
            print(result, file=journal, flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak {peak // 1024}", file=journal, flush=True)


if __name__ == "__main__":
    main()
