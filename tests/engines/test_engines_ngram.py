"""Kneser-Ney against its definition, sums that add up, and what is drawn from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.apply.generate import generate
from stepwell.engines import ngram
from stepwell.engines.ngram import NgramCounts, NgramModel, encoded
from stepwell.interfaces import StepwellError

TEXTS = ["the cat sat on the mat", "the dog sleeps in a bed", "a cat and a dog", "größer", "the"]


def counted(texts, order=3):
    counts = NgramCounts(order)
    counts.add(texts)
    return counts


def naive(texts, order):
    """Equations 24 to 26 with dictionaries: a function p(byte | context)."""
    longest = Counter()
    for row in (encoded(text, order) for text in texts):
        longest.update(row[i : i + order] for i in range(len(row) - order + 1))
    tables = {order: longest}
    for length in range(order - 1, 0, -1):
        before = defaultdict(set)
        for run in tables[length + 1]:
            before[run[1:]].add(run[0])
        tables[length] = {run: len(found) for run, found in before.items()}
    discounts = {}
    for length, table in tables.items():
        n = [sum(c == times for c in table.values()) for times in range(5)]
        if not n[1] or not n[2]:
            discounts[length] = [0, 0.5, 0.5, 0.5]
            continue
        y = n[1] / (n[1] + 2 * n[2])
        d = [0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2]]
        d.append(3 - 4 * y * n[4] / n[3] if n[3] else d[2])
        discounts[length] = [min(max(x, 0.1), most) for most, x in enumerate(d)]

    def p(byte, context):
        found = 1 / 256
        for length in range(1, order + 1):
            if length - 1 > len(context):
                break
            h = context[len(context) - length + 1 :]
            own = {run: c for run, c in tables[length].items() if run[:-1] == h}
            if not own:
                break
            total, d = sum(own.values()), discounts[length]
            left = sum(d[min(c, 3)] for c in own.values()) / total
            c = own.get(h + bytes([byte]), 0)
            found = (c - d[min(c, 3)]) / total + left * found if c else left * found
        return found

    return p


@pytest.mark.parametrize("order", [2, 3, 5, 8])
def test_probabilities_are_those_of_the_paper(order):
    texts = TEXTS * 2 + ["the bat sat", "on the mat a cat"]
    model, p = NgramModel(counted(texts, order)), naive(texts, order)
    for context in (b"", b"\0", b"t", b"the ca", b"xyz", b"at on the", "grö".encode()):
        found = model.following(context)
        assert found.sum() == pytest.approx(1)
        assert (found > 0).all()
        np.testing.assert_allclose(found, [p(b, context[-order + 1 :]) for b in range(256)])


@pytest.mark.parametrize("order", [2, 4, 8])
def test_the_cost_of_a_text_is_that_of_its_bytes(order):
    model = NgramModel(counted(TEXTS, order))
    for asked in (["the cat"], ["", "no", "größe"], TEXTS):
        total = 0.0
        for row in (encoded(text, order) for text in asked):
            for place in range(order - 1, len(row)):
                total -= np.log(model.following(row[:place])[row[place]])
        assert model.nats(asked) == pytest.approx(total)


@pytest.mark.parametrize("times", [3, 4])
def test_what_comes_again_and_again_leaves_something_for_others(times):
    model = NgramModel(counted(TEXTS * times, 4))
    assert np.isfinite(model.nats(["quite another text", "the cat"]))
    assert (model.following(b"the ") > 0).all()


def test_texts_and_their_bytes_are_counted():
    counts = counted(["ab", "größe", ""])
    assert (counts.texts, counts.bytes) == (3, 2 + 7)


def same(one, two):
    return (one.texts, one.bytes) == (two.texts, two.bytes) and all(
        np.array_equal(a, b) for a, b in zip(one.table, two.table, strict=True)
    )


@given(texts=st.lists(st.text(max_size=12), max_size=8), cut=st.integers(0, 8))
def test_counts_add_up_and_are_taken_out_again(texts, cut):
    one, two, whole = counted(texts[:cut]), counted(texts[cut:]), counted(texts)
    assert same(one + two, whole)
    assert same(whole - two, one)
    apart = NgramCounts(3)
    for text in reversed(texts):
        apart.add([text])
    assert same(apart, whole)


@given(texts=st.lists(st.text(max_size=12), max_size=8), order=st.integers(2, 8))
def test_counts_are_written_and_read_back(texts, order):
    with TemporaryDirectory() as folder:
        path, whole = Path(folder) / "counts.parquet", counted(texts, order)
        whole.write(path)
        assert same(NgramCounts.read(path), whole)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(StepwellError, match="damaged"):
            NgramCounts.read(path)
        parquet.write_table(pa.table({"other": [1]}), path)
        with pytest.raises(StepwellError, match="damaged"):
            NgramCounts.read(path)


def test_many_texts_at_once_cost_what_each_does(monkeypatch):
    texts = [*TEXTS, "", "größe"] * 5
    counts, alone = counted(texts, 4), NgramCounts(4)
    monkeypatch.setattr(ngram, "AT_ONCE", 1)
    alone.add(texts)
    assert same(alone, counts)
    model = NgramModel(counts)
    costs = list(model.surprises(texts))
    monkeypatch.setattr(ngram, "AT_ONCE", 100)
    for text, cost, again in zip(texts, costs, model.surprises(texts), strict=True):
        assert len(cost) == len(text.encode()) + 1
        np.testing.assert_array_equal(cost, again)


def test_orders_that_make_no_sense_are_refused():
    for order in (1, 9):
        with pytest.raises(ValueError, match="2 to 8"):
            NgramCounts(order)
    with pytest.raises(ValueError, match="order 3"):
        counted(TEXTS, 3) + counted(TEXTS, 4)


def test_texts_go_on_as_they_were_learned():
    model = NgramModel(counted(TEXTS * 3, 6))

    def text(prompt, **options):
        return "".join(generate(model, prompt, **options))

    assert text("the dog s", temperature=0) == "leeps in a bed"  # and there it ends
    assert text("grö", temperature=0) == "ßer"
    assert text("", seed=3) == text("", seed=3)
    assert len({text("the ", seed=seed) for seed in range(20)}) > 1
    assert len(text("the ", length=5, seed=1)) <= 5
    assert text("a very long prompt " * 99 + "the dog s", temperature=0) == "leeps in a bed"
    assert text("the dog s", top_p=1e-9, seed=5) == "leeps in a bed"
    assert text("什", length=30) is not None
    filled = text("the dog s", temperature=0, length=60, fill=True)
    assert filled.startswith("leeps in a bed\n\n")
    assert len(filled) == 60
