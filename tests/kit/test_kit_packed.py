"""Numbers come back as they were, whatever they are; bytes of others are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stepwell.kit.packed import MOST_TIMES, SPARE, pack, packed_of, unpack, unpacked

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=40)


@given(arrays.arrays(np.int64, SHAPES, elements=st.integers(-(2**63), 2**63 - 1)))
def test_all_numbers_come_back(found):
    np.testing.assert_array_equal(unpack(pack(found), found.shape), found)


def test_sums_take_a_third_of_their_room_or_less():
    rng = np.random.default_rng(0)
    codes = rng.integers(-63, 64, (3000, 200))
    sums = (codes.T @ codes).astype(np.int64)
    assert list(packed_of({"sums": sums, "few": sums[0], "others": sums.astype(float)})) == ["sums"]
    assert pack(sums).nbytes < sums.nbytes / 3


@pytest.mark.parametrize("shape", [[5000], [4999, 1], [2, -2500], [2.0, 2500], ["5000"], [10**12]])
def test_other_shapes_are_refused(shape):
    packed = pack(np.arange(4999))
    if shape == [4999, 1]:
        assert unpack(packed, shape).shape == (4999, 1)
        return
    with pytest.raises(ValueError, match=r"bytes|shape"):
        unpack(packed, shape)


def test_a_few_bytes_do_not_fill_the_memory():
    zeros = pack(np.zeros(10**7, np.int64))
    assert not packed_of({"zeros": np.zeros(10**7, np.int64)})  # so nothing of the kind is written
    assert MOST_TIMES * len(zeros) + SPARE < 8 * 10**7
    with pytest.raises(ValueError, match="bytes for"):
        unpack(zeros, [10**7])


def test_damaged_bytes_are_refused():
    packed = pack(np.arange(5000)).copy()
    packed[:8] ^= 0x5A
    with pytest.raises(ValueError, match="bytes"):
        unpack(packed, [5000])
    with pytest.raises(ValueError, match="bytes"):
        unpack(packed.astype(np.int64), [5000])


def test_many_small_arrays_do_not_fill_it_either():
    packed = {str(i): pack(np.zeros(100_000, np.int64)) for i in range(50)}
    with pytest.raises(ValueError, match="bytes for"):
        unpacked(packed, {name: [100_000] for name in packed})
    two = {"a": np.arange(5000), "b": -np.arange(6000)}
    back = unpacked({n: pack(a) for n, a in two.items()}, {n: [len(a)] for n, a in two.items()})
    assert all(np.array_equal(back[name], two[name]) for name in two)
    with pytest.raises(ValueError, match="a shape of"):
        unpacked({"a": packed["0"]}, {"a": "100000"})
