"""What every source, pretext, encoder and view must keep to, as checks a plug-in can run.

Each raises :class:`ContractError`, which says what was expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stepwell.interfaces import Batch, Encoder, Pretext, Source, concatenate, ignore
from stepwell.kit.parts import load_part, save_part
from stepwell.views import View, render


class ContractError(AssertionError):
    """A promise of :mod:`stepwell.interfaces` that is not kept."""


def expect(kept: bool, promise: str) -> None:
    """Raise unless a promise is kept."""
    if not kept:
        raise ContractError(f"Expected {promise}, found otherwise.")


def check_batch(batch: Batch) -> None:
    """Columns of one length, of the right types."""
    n = len(batch)
    for names in (batch.ids, batch.group):
        expect(names.dtype.kind == "U" and names.shape == (n,), "ids and group as (n,) str")
    digest = batch.digest
    expect(digest.dtype == np.uint64 and digest.shape == (n, 2), "digests as (n, 2) uint64")
    expect(len(batch.data) > 0, "at least one column of data")
    for name, column in batch.data.items():
        expect(len(column) == n, f"as many rows of {name!r} as there are ids")


def check_source(opened: Callable[[], Source], size: int = 7) -> Batch:
    """A source of three or more examples, which ``opened()`` opens anew; returns them all."""
    source = opened()
    expect(isinstance(source, Source), "kind, skipped, options, entries and batches")
    listed = list(source.entries())
    known = dict(listed)
    expect(len(known) == len(listed), "ids that are different from each other")
    parts = list(source.batches(size))
    expect(all(0 < len(part) <= size for part in parts), f"batches of 1 to {size} examples")
    whole = concatenate(parts)
    check_batch(whole)
    ids = whole.ids.tolist()
    read, left = set(ids), {skipped.id for skipped in source.skipped}
    expect(ids == [i for i in known if i in read], "examples in the order of entries()")
    expect(left | read >= set(known), "every entry read, or set aside with its reason")
    expect(whole.group.tolist() == [known[i] for i in ids], "the groups that entries() names")
    expect(_same(whole, concatenate(source.batches(size + 4))), "the same for any batch size")
    expect(_same(whole, concatenate(opened().batches(size))), "the same when opened again")
    some = {ids[-1], ids[0], ids[len(ids) // 2]}
    rows = np.flatnonzero(np.isin(whole.ids, list(some)))
    chosen = concatenate(source.batches(size, ids=some))
    expect(_same(whole.take(rows), chosen), "the same rows when read by their ids")
    expect(list(source.batches(size, ids=set())) == [], "nothing where no ids are wanted")
    return whole


def check_pretext(pretext: Pretext, batch: Batch, seed: int = 0) -> None:
    """Pairs that are the same each time and in any company; ``batch`` holds three or more."""
    found = list(pretext.pairs(batch, seed))
    for pairs in found:
        check_batch(pairs.x)
        expect(pairs.unit.shape == (len(pairs.x),), "a unit for each row of x")
        expect(pairs.y is None or len(pairs.y) == len(pairs.x), "a partner for each row of x")
        if pairs.anchor is not None:
            expect(_same(pairs.x.take(pairs.anchor), batch), "anchors that are the batch itself")
    units = _units(pretext, batch, seed)
    expect(bool(units), "at least one unit")
    expect(_units(pretext, batch, seed) == units, "the same pairs from the same call")
    half = len(batch) // 2
    parts = [batch.take(slice(half, None)), batch.take(slice(0, 1)), batch.take(slice(1, half))]
    apart = sum((_units(pretext, part, seed) for part in parts), Counter[Any]())
    expect(apart == units, "the same pairs whatever else is in the batch")
    expect(not _units(pretext, batch.take(slice(0, 0)), seed), "no pairs of no examples")


def check_shown(pretext: Any, batch: Batch, seed: int = 0) -> None:
    """What a pretext shows networks: the same each time, in any company, as it has announced."""
    found = pretext.seen(batch, seed, 1)
    expect(pretext.gives <= {"views", "classes", "hidden"}, "views, classes or hidden as gives")
    expect(("classes" in pretext.gives) == bool(found.told), "pseudo-labels where it gives classes")
    expect(("hidden" in pretext.gives) == (found.hidden is not None), "hidden where it gives that")
    for name, told in found.told.items():
        count, kinds = pretext.classes[name]
        values = np.asarray(told).reshape(len(batch), -1)
        expect(values.shape[1] == count, f"{count} pseudo-labels {name!r} of each example")
        expect(bool(((values >= 0) & (values < kinds)).all()), f"{kinds} classes of {name!r}")
    for rows in (np.arange(len(batch)), np.arange(len(batch))[::-1], np.arange(1), np.arange(0)):
        part = pretext.seen(batch.take(rows), seed, 1)
        pairs = [*zip(part.views, found.views, strict=True)]
        pairs += [(part.told[name], found.told[name]) for name in found.told]
        pairs += [*zip(part.hidden or [], found.hidden or [], strict=True)]
        same = all(np.array_equal(one, np.asarray(whole)[rows]) for one, whole in pairs)
        expect(same, "the same views and labels whatever else is in the batch")


def check_encoder(made: Callable[[], Encoder], founders: Batch, batch: Batch) -> None:
    """Features that depend on their example alone, and survive being written down."""
    encoder = made()
    expect(encoder.fit(founders, seed=0, observe=ignore) is encoder, "fit() to return itself")
    z = np.asarray(encoder.embed(batch))
    n = len(batch)
    expect(z.dtype == np.float32, "float32 features")
    expect(z.shape == (n, encoder.width), f"features of shape ({n}, {encoder.width})")
    expect(bool(np.isfinite(z).all()), "finite features")
    twin = made().fit(founders, seed=0, observe=ignore)
    with TemporaryDirectory() as folder:
        save_part(Path(folder) / "part", encoder, "encoder")
        back: Any = load_part(Path(folder) / "part", {"encoder": type(encoder)})
    for other, promise in ((twin, "fitting twice to agree"), (back, "save and load to agree")):
        expect(np.array_equal(np.asarray(other.embed(batch)), z), promise)
    for rows in (np.arange(n)[::-1], np.arange(1), np.arange(n // 2)):
        alone = np.asarray(encoder.embed(batch.take(rows)))
        expect(np.allclose(alone, z[rows], rtol=1e-4, atol=1e-5), "rows independent of the batch")
    nothing = np.asarray(encoder.embed(batch.take(slice(0, 0))))
    expect(nothing.shape == (0, encoder.width), "(0, width) features of no examples")


def check_view(view: View, batch: Batch, seed: int = 0) -> None:
    """Images of the same shape and range, drawn by their content alone."""
    seen = np.asarray(render(batch, [view], seed).data["image"])
    expect(seen.shape == np.shape(batch.data["image"]), "images of the same shape")
    expect(seen.dtype == np.float32, "float32 images")
    expect(bool(((seen >= -1e-3) & (seen <= 255 + 1e-3)).all()), "numbers in [0, 255]")
    again = np.asarray(render(batch, [view], seed).data["image"])
    expect(np.array_equal(seen, again), "the same view from the same call")
    for rows in (np.arange(len(batch))[::-1], np.arange(1), np.arange(0)):
        alone = np.asarray(render(batch.take(rows), [view], seed).data["image"])
        expect(np.array_equal(alone, seen[rows]), "views independent of the batch")
    still = np.asarray(render(batch, [type(view)(0)], seed).data["image"])
    expect(np.allclose(still, batch.data["image"], atol=1e-3), "no change at strength 0")


def _rows(batch: Batch) -> list[Any]:
    """Each row as something to compare: 3 is 3.0, and a text is as wide as it is."""
    columns = [np.asarray(column) for column in batch.data.values()]
    data = [c if c.dtype.kind in "UO" else [r.astype(float).tobytes() for r in c] for c in columns]
    return list(zip(batch.ids, batch.group, map(tuple, batch.digest), *data, strict=True))


def _same(one: Batch, two: Batch) -> bool:
    return list(one.data) == list(two.data) and _rows(one) == _rows(two)


def _units(pretext: Pretext, batch: Batch, seed: int) -> Counter[Any]:
    """How often each unit occurs: the rows it holds, with their partners, in order."""
    found: Counter[Any] = Counter()
    for pairs in pretext.pairs(batch, seed):
        rows = _rows(pairs.x)
        partners = [None] * len(rows) if pairs.y is None else _rows(pairs.y)
        for unit in np.unique(pairs.unit):
            found[tuple((rows[i], partners[i]) for i in np.flatnonzero(pairs.unit == unit))] += 1
    return found
