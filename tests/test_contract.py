"""The contract battery, over everything registered; and that it catches what breaks it."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from helpers import installed, write_digits
from sklearn.datasets import load_digits
from test_plugins import own_series, own_text

from stepwell import contract
from stepwell.contract import ContractError, check_encoder, check_pretext, check_source, check_view
from stepwell.encoders import ENCODERS
from stepwell.interfaces import Batch, concatenate
from stepwell.kit.hashing import digest_rows
from stepwell.kit.plugins import plugins
from stepwell.pretexts import PRETEXTS
from stepwell.sources import SOURCES, open_source
from stepwell.views import VIEWS, parse


def folder(at: Path) -> Path:
    return write_digits(at / "folder", 30)


def archive(at: Path) -> Path:
    with zipfile.ZipFile(at / "a.zip", "w") as file:
        for path in sorted(folder(at).rglob("*.png")):
            file.write(path, path.relative_to(at))
    return at / "a.zip"


def array(at: Path) -> Path:
    np.save(at / "a.npy", load_digits().images[:30])
    return at / "a.npy"


def idx(at: Path) -> Path:
    images = load_digits().images[:30].astype(np.uint8)
    head = bytes([0, 0, 8, 3]) + np.array(images.shape, ">i4").tobytes()
    (at / "images-idx3-ubyte").write_bytes(head + images.tobytes())
    return at / "images-idx3-ubyte"


def table(at: Path) -> Path:
    content = [path.read_bytes() for path in sorted(folder(at).rglob("*.png"))]
    (at / "tables").mkdir()
    parquet.write_table(pa.table({"image": pa.array(content)}), at / "tables" / "a.parquet")
    return at / "tables" / "a.parquet"


def text(at: Path) -> Path:
    (at / "a.txt").write_text("\n".join(texts()), encoding="utf-8")
    return at / "a.txt"


def texttable(at: Path) -> Path:
    parquet.write_table(pa.table({"sentence": texts()}), at / "a.parquet")
    return at / "a.parquet"


def texts() -> list[str]:
    """Of two words that come again and again, and a number."""
    return [f"{one} {other} and {row}" for row in range(10) for one, other in TRIPLES]


TRIPLES = (("a cat", "sleeps"), ("a dog", "runs"), ("größer", "als"))
MAKERS = {"folder": folder, "archive": archive, "array": array, "idx": idx, "table": table}
MAKERS |= {"text": text, "texttable": texttable}


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name, tmp_path):
    where = MAKERS[name](tmp_path)  # a source without a maker here has no test: write one
    assert type(open_source(where)) is SOURCES[name]
    assert len(check_source(lambda: open_source(where))) == 30


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_encoders(name, channels, digit_batch, tmp_path):
    founders = concatenate(open_source(texts()).batches(99))
    made = ENCODERS[name]
    if name == "pretrained":  # of a folder
        from text_models import bert

        made = partial(made, str(bert(tmp_path)))
    if "image" in ENCODERS[name].kinds:
        images = np.ascontiguousarray(digit_batch.data["image"][..., :channels])
        founders = digit_batch.with_data(image=images)
    check_encoder(made, founders, founders.take(slice(12, 29)))


@pytest.mark.parametrize("name", [n for n, kind in PRETEXTS.items() if kind.target == "same"])
def test_pretexts(name, digit_batch):
    batch = (
        digit_batch
        if "image" in PRETEXTS[name].kinds
        else concatenate(open_source(texts()).batches(99))
    )
    batch = batch.take(slice(0, 12))
    if name == "parallel":
        batch = batch.with_data(**batch.data, target=batch.data["text"][::-1])
    check_pretext(PRETEXTS[name](), batch)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_views(name, channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 11, 11, channels), np.uint8)
    ids = np.array([str(i) for i in range(9)])
    batch = Batch(ids, {"image": images}, ids, digest_rows(i.encode() for i in ids))
    for view in (VIEWS[name](), *parse(f"{name}:0.9")):
        check_view(view, batch)


@pytest.mark.parametrize(("plugin", "make"), [("text", own_text), ("series", own_series)])
def test_plug_ins(plugin, make, tmp_path):
    src = make(tmp_path)
    with installed(plugin):
        batch = check_source(lambda: open_source(src)).take(slice(0, 40))
        for pretext in plugins("pretexts").values():
            check_pretext(pretext(), batch)
        for encoder in plugins("encoders").values():
            check_encoder(encoder, batch, batch.take(slice(5, 18)))


def test_the_cheap_encoder_of_the_tests_keeps_it_too(digit_batch):
    with installed("tiny"):
        check_encoder(plugins("encoders")["thumbnails"], digit_batch, digit_batch)


# What follows breaks one promise each: a battery that passes everything proves nothing.


class Plain:
    """A source of a few series, and all the ways to spoil it."""

    kind, options = "series", {}

    def __init__(self, spoilt: str = "") -> None:
        self.spoilt, self.skipped, self.passes = spoilt, [], 0

    def entries(self):
        ids = [f"{i}" for i in range(20)]
        return ((i, i) for i in (ids[:-1] + ids[:1] if self.spoilt == "ids" else ids))

    def batches(self, size, *, ids=None):
        self.passes += 1
        listed = [i for i, _ in self.entries()]
        rows = [i for i in listed if ids is None or i in ids or self.spoilt == "chosen"]
        if self.spoilt == "order":
            rows = rows[::-1]
        if self.spoilt == "lost":
            rows = rows[1:]
        for start in range(0, len(rows), size):
            yield self.batch(rows[start : start + size])

    def batch(self, some: list[str]) -> Batch:
        names = np.array(some)
        values = np.array([[float(i), 1] for i in some], np.float32)
        if self.spoilt == "again":
            values += self.passes
        if self.spoilt == "company":
            values -= values.mean(0)
        digest = digest_rows(n.encode() for n in some)
        if self.spoilt == "digest":
            digest = digest[:, :1]
        return Batch(names, {"values": values}, names, digest)


def test_a_plain_source_passes():
    assert len(check_source(Plain)) == 20


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ("ids", "different from each other"),
        ("order", "in the order of entries"),
        ("lost", "read, or set aside"),
        ("digest", r"digests as \(n, 2\) uint64"),
        ("company", "the same for any batch size"),
        ("again", "the same"),
        ("chosen", "by their ids"),
    ],
)
def test_spoilt_sources_fail(spoilt, words):
    with pytest.raises(ContractError, match=words):
        check_source(lambda: Plain(spoilt))


class Spoilt:
    """An encoder or a pretext made of a function."""

    name, kinds, target, width = "spoilt", frozenset(), "same", 2

    def __init__(self, work) -> None:
        self.work, self.calls = work, 0

    def fit(self, founders, *, seed, observe):
        return self

    def embed(self, batch):
        self.calls += 1
        return self.work(self, batch)

    def pairs(self, batch, seed, epoch=0):
        self.calls += 1
        yield self.work(self, batch)

    def state(self):
        return {}, {}

    @classmethod
    def from_state(cls, settings, arrays):
        return cls(lambda self, batch: batch.data["values"] + 1)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda self, b: b.data["values"].astype(float), "float32 features"),
        (lambda self, b: b.data["values"][:, :1], "features of shape"),
        (lambda self, b: b.data["values"] * np.float32("nan"), "finite"),
        (lambda self, b: b.data["values"], "save and load"),
    ],
)
def test_spoilt_encoders_fail(work, words):
    batch = concatenate(Plain().batches(20))
    with pytest.raises(ContractError, match=words):
        check_encoder(lambda: Spoilt(work), batch, batch)


def test_an_encoder_that_looks_at_its_neighbours_fails():
    class Social(Spoilt):
        from_state = classmethod(lambda cls, settings, arrays: social())

    def social() -> Social:
        return Social(lambda self, b: b.data["values"] - b.data["values"].mean(0))

    batch = concatenate(Plain().batches(20))
    with pytest.raises(ContractError, match="independent of the batch"):
        check_encoder(social, batch, batch)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [("again", "from the same call"), ("company", "whatever else"), ("digest", "digests as")],
)
def test_spoilt_pretexts_fail(spoilt, words):
    from stepwell.interfaces import Pairs

    source = Plain(spoilt)

    def work(_, batch):
        source.passes += 1
        both = concatenate([source.batch(batch.ids.tolist())] * 2) if len(batch) else batch
        return Pairs(both, np.arange(len(both)) % max(1, len(batch)))

    batch = concatenate(Plain().batches(20))
    with pytest.raises(ContractError, match=words):
        check_pretext(Spoilt(work), batch)


def test_everything_public_is_typed_and_explained():
    for name, check in vars(contract).items():
        if name.startswith("check_"):
            assert check.__doc__
            assert "return" in check.__annotations__
