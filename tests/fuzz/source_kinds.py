"""One small source of each kind, damaged by a seed and read as a run reads it."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import random
import shutil
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from mutate import mutated
from PIL import Image

from stepwell.interfaces import StepwellError
from stepwell.labels import told
from stepwell.sources import open_source

SIDE, COUNT = 16, 12
WORDS = ("the", "good", "bad", "film", "was", "great", "awful", "hated", "plot", "dull", "é")
Files = dict[str, bytes]
Maker = Callable[[], Files]
MAKERS: dict[str, Maker] = {}
"""Kinds of sources: files by name, of which one is damaged."""
PACKED = {".gz": (gzip.decompress, lambda raw: gzip.compress(raw, 1, mtime=0))}
PACKED |= {".bz2": (bz2.decompress, bz2.compress), ".xz": (lzma.decompress, lzma.compress)}


def one(kind: str, seed: int, folder: Path) -> str:
    """Read a damaged source: whether it was read, or refused as it should be.

    What is packed is damaged inside in every second try, where no checksum finds it.
    """
    draw = random.Random(f"{kind} {seed}")
    files = dict(_made(kind))
    name = draw.choice([n for n in files if not n.startswith("whole/")])
    content = files[name]
    inner = PACKED.get(Path(name).suffix) if draw.random() < 0.5 else None
    if inner:
        files[name] = inner[1](mutated(inner[0](content), seed))
    elif zipfile.is_zipfile(io.BytesIO(content)) and draw.random() < 0.5:
        files[name] = _inside_zip(content, seed, draw)
    else:
        files[name] = mutated(content, seed)
    place = folder / kind.replace("/", "-")
    shutil.rmtree(place, ignore_errors=True)
    for each, raw in files.items():
        path = place / each.removeprefix("whole/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(kind, place, files)
    except StepwellError:
        return "refused"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _read(kind: str, place: Path, files: Files) -> str:
    if kind == "labels":
        told([f"k{i % 2}/{i}.png" for i in range(COUNT)], place / next(iter(files)))
        return "read"
    options = {"target": place / "a.de"} if kind == "parallel" else {}
    where = place / next(iter(files)) if len(files) == 1 or options else place
    if kind.startswith("idx"):
        where = place
    source = open_source(where, **options)
    known = sum(1 for _ in source.entries())
    read = sum(len(batch) for batch in source.batches(8))
    source.labels()
    assert read <= known, f"{read} examples of {known} entries"
    return "read"


def _inside_zip(content: bytes, seed: int, draw: random.Random) -> bytes:
    """A zip whose members are damaged, its checksums right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        unlucky = draw.choice(old.namelist())
        for info in old.infolist():
            raw = old.read(info)
            raw = mutated(raw, seed) if info.filename == unlucky else raw
            new.writestr(info.filename, raw, compress_type=info.compress_type)
    return out.getvalue()


@lru_cache(maxsize=2)
def _made(kind: str) -> Files:
    return MAKERS[kind]()


def _pixels(i: int, *shape: int) -> np.ndarray:
    ramp = np.linspace(0, 200, int(np.prod(shape))).reshape(shape)
    return ((ramp * (1 + i % 3) + 7 * i) % 256).astype(np.uint8)


def _image(i: int, form: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(_pixels(i, SIDE, SIDE, 3)).convert(mode)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _texts() -> list[str]:
    return [" ".join(random.Random(i).choices(WORDS, k=8)) for i in range(COUNT)]


def _images(form: str, extension: str, **options: object) -> Maker:
    """A folder of images in several modes; notes too, where a format has them."""

    def make() -> Files:
        modes = {"JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "RGBA", "P", "L", "I;16")}
        own = modes.get(form, ("RGB",))
        if form == "TIFF":
            own = ("RGB", "L", "RGBA", "F")
        each = (
            _image(i, form, own[i % len(own)] if own[i % len(own)] != "I;16" else "L", **options)
            for i in range(3 * len(own) if len(own) < 4 else len(own))
        )
        return {f"k{i % 2}/{i}{extension}": raw for i, raw in enumerate(each)}

    return make


def _zip(kind: int) -> Maker:
    def make() -> Files:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", kind) as file:
            for i in range(4):
                file.writestr(f"k{i % 2}/{i}.png", _image(i))
        return {"a.zip": out.getvalue()}

    return make


def _tar(ending: str) -> Maker:
    def make() -> Files:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
            for i in range(4):
                raw = _image(i)
                info = tarfile.TarInfo(f"k{i % 2}/{'é' * (60 if i == 2 else 1)}{i}.png")
                info.size = len(raw)
                file.addfile(info, io.BytesIO(raw))
        pack = PACKED[ending][1] if ending else bytes
        return {f"a.tar{ending}": pack(out.getvalue())}

    return make


def _numpy(name: str, **options: object) -> Maker:
    def make() -> Files:
        out = io.BytesIO()
        images = np.stack([_pixels(i, SIDE, SIDE, 3) for i in range(COUNT)])
        if name.endswith("npy"):
            np.save(out, images.astype(options.get("dtype", np.uint8)))
        elif options.get("fortran"):
            np.savez_compressed(out, images=np.asfortranarray(images), labels=np.arange(COUNT) % 2)
        else:
            np.savez(out, images=images, labels=np.array(["a", "b"] * (COUNT // 2)))
        return {name: out.getvalue()}

    return make


def _idx(packed: bool) -> Maker:
    def make() -> Files:
        images = np.stack([_pixels(i, SIDE, SIDE) for i in range(COUNT)])
        pack = PACKED[".gz"][1] if packed else bytes
        end = ".gz" if packed else ""
        head = struct.pack(">HBBIII", 0, 8, 3, *images.shape)
        labels = struct.pack(">HBBI", 0, 8, 1, COUNT) + bytes(i % 2 for i in range(COUNT))
        return {
            f"train-images-idx3-ubyte{end}": pack(head + images.tobytes()),
            f"train-labels-idx1-ubyte{end}": pack(labels),
        }

    return make


def _table(of: str):
    import pyarrow as pa

    labels = pa.array([i % 2 for i in range(COUNT)])
    if of == "images":
        cells = [{"bytes": _image(i), "path": None} for i in range(COUNT)]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        return pa.table({"image": pa.array(cells, kind), "label": labels})
    named = pa.array(["pos", "neg"] * (COUNT // 2)).dictionary_encode()
    when = pa.array(range(COUNT), pa.timestamp("us", "Europe/Berlin"))
    return pa.table({"text": _texts(), "label": named, "when": when})


def _parquet(of: str, **options: object) -> Maker:
    def make() -> Files:
        import pyarrow.parquet as parquet

        out = io.BytesIO()
        parquet.write_table(_table(of), out, **options)
        return {"a.parquet": out.getvalue()}

    return make


def _arrow(of: str, name: str, packed: str | None = None) -> Maker:
    def make() -> Files:
        import pyarrow as pa

        out = io.BytesIO()
        table = _table(of)
        options = pa.ipc.IpcWriteOptions(compression=packed)
        new = pa.ipc.new_stream if name.endswith("s") else pa.ipc.new_file
        with new(out, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=8)
        return {name: out.getvalue()}

    return make


def _saved(of: str) -> Maker:
    """What ``datasets`` leaves on disk."""

    def make() -> Files:
        shard = "data-00000-of-00001.arrow"
        (content,) = _arrow(of, "a.arrows")().values()
        info = {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}
        state = {"_data_files": [{"filename": shard}], "_split": "train"}
        return {
            shard: content,
            "dataset_info.json": json.dumps(info).encode(),
            "state.json": json.dumps(state).encode(),
        }

    return make


def _written(name: str) -> Maker:
    def make() -> Files:
        texts = _texts()
        if "jsonl" in name:
            rows = [json.dumps({"text": t, "label": i % 2}) for i, t in enumerate(texts)]
            raw = "\n".join(rows)
        elif "txt" in name:
            raw = "\n".join(texts)
        else:
            mark = "\t" if "tsv" in name else ","
            rows = [f'"{t}"{mark}{"pos" if i % 2 else "neg"}' for i, t in enumerate(texts)]
            raw = "\r\n".join([f"text{mark}label", *rows])
        coded = raw.encode("utf-16" if "wide" in name else "utf-8")
        return {name: PACKED[".gz"][1](coded) if name.endswith(".gz") else coded}

    return make


def _parallel() -> Files:
    lines = "\n".join(_texts()).encode()
    return {"a.en": lines, "a.de": lines}


def _labels() -> Files:
    rows = [f"k{i % 2}/{i}.png,class {i % 2}" for i in range(COUNT)]
    return {"labels.csv": "\n".join(["file,label", *rows]).encode()}


def _documents() -> Files:
    return {f"{'pos' if i % 2 else 'neg'}/{i}.txt": t.encode() for i, t in enumerate(_texts())}


MAKERS |= {
    "folder/jpeg": _images("JPEG", ".jpg", comment=b"a note", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "folder/png": _images("PNG", ".png"),
    "folder/gif": _images("GIF", ".gif"),
    "folder/tiff": _images("TIFF", ".tif", compression="tiff_lzw"),
    "folder/tiff raw": _images("TIFF", ".tif"),
    "folder/webp": _images("WEBP", ".webp"),
    "folder/bmp": _images("BMP", ".bmp"),
    "folder/others": lambda: {
        f"{i}{end}": _image(i, form)
        for i, (form, end) in enumerate(
            (
                ("JPEG2000", ".jp2"),
                ("AVIF", ".avif"),
                ("ICO", ".ico"),
                ("ICNS", ".icns"),
                ("TGA", ".tga"),
                ("PCX", ".pcx"),
                ("PPM", ".ppm"),
                ("SGI", ".sgi"),
                ("DDS", ".dds"),
            )
        )
        if form in _writable()
    },
    "zip": _zip(zipfile.ZIP_DEFLATED),
    "zip stored": _zip(zipfile.ZIP_STORED),
    "tar": _tar(""),
    "tar.gz": _tar(".gz"),
    "tar.xz": _tar(".xz"),
    "npy": _numpy("a.npy"),
    "npy floats": _numpy("a.npy", dtype=np.float64),
    "npz": _numpy("a.npz"),
    "npz columns first": _numpy("a.npz", fortran=True),
    "idx": _idx(False),
    "idx.gz": _idx(True),
    "parquet images": _parquet("images"),
    "parquet texts": _parquet("texts"),
    "parquet texts v2": _parquet("texts", data_page_version="2.0", compression="zstd"),
    "arrow images": _arrow("images", "a.arrow"),
    "arrow texts": _arrow("texts", "a.arrow"),
    "arrow stream": _arrow("texts", "a.arrows"),
    "feather": _arrow("texts", "a.feather", "lz4"),
    "saved": _saved("images"),
    "csv": _written("a.csv"),
    "tsv": _written("a.tsv"),
    "csv wide": _written("wide.csv"),
    "jsonl": _written("a.jsonl"),
    "txt": _written("a.txt"),
    "txt.gz": _written("a.txt.gz"),
    "csv.gz": _written("a.csv.gz"),
    "documents": _documents,
    "parallel": _parallel,
    "labels": _labels,
}


def _writable() -> set[str]:
    Image.init()
    found = set()
    for form in Image.SAVE:
        with contextlib.suppress(Exception):
            _image(0, form)
            found.add(form)
    return found
