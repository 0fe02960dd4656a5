"""Sums of labelled examples: exact, whatever came first, and classes come and go."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.adapt import LabelSums, discriminants


def same(one, other):
    assert one.classes == other.classes
    for name in ("counts", "_sums", "_products"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60))
def test_parts_add_up_and_come_off_bit_for_bit(seed, cut):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (61, 5)), rng.integers(0, 4, 61).astype(str)
    order = rng.permutation(61)
    whole = LabelSums.of(x[order], y[order])
    one, other = LabelSums.of(x[:cut], y[:cut]), LabelSums.of(x[cut:], y[cut:])
    same(one + other, whole)
    same(whole - other, one)
    again = LabelSums.from_state(*whole.state())
    same(again, whole)


def test_a_class_that_is_added_is_told_and_no_other_forgotten():
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(4), 30)
    x = (2 * np.eye(4)[kind] + rng.standard_normal((120, 4))) / 8
    old = kind < 3
    sums = LabelSums.of(x[old], kind[old].astype(str))
    assert sums.classes == ("0", "1", "2")
    sums = sums + LabelSums.of(x[~old], kind[~old].astype(str))
    weight, bias = discriminants(sums, 0.1)
    right = np.array(sums.classes)[(x @ weight.T + bias).argmax(1)].astype(int) == kind
    assert right[old].mean() > 0.7
    assert right[~old].mean() > 0.7
    gone = sums - LabelSums.of(x[old], kind[old].astype(str))
    assert gone.classes == ("3",)
