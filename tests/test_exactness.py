"""Moments of runs add up: more data, less data, two sites, any chunk size and threads."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import stepwell as sw
from stepwell.engines import SpectralMap, solve
from stepwell.engines.broad import broad
from stepwell.engines.spectral import components
from stepwell.sources import open_source


@pytest.fixture(scope="module")
def images():
    """Real handwritten digits, enlarged to 16 pixels."""
    small = (load_digits().images[:300] * 15.9).astype(np.uint8)
    return np.kron(small, np.ones((2, 2), np.uint8))


@pytest.fixture(scope="module")
def sibling(images, tmp_path_factory):
    """The run whose founders all others share."""
    return learned(images[:100], tmp_path_factory.mktemp("runs") / "founders")


def learned(images, out, **options):
    return sw.learn(images, out, preset="fast", report=False, **options)


def arrays(moments):
    settings, found = moments.state()
    return {**found, "units": np.array(sorted(settings["units"].items()), dtype=str)}


def assert_same(one, two):
    one, two = arrays(one), arrays(two)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_extend_forget_and_merge_are_exact(images, sibling, tmp_path):
    parts = {"a": images[:180], "b": images[180:], "both": images}
    runs = {k: learned(v, tmp_path / k, founders_from=sibling) for k, v in parts.items()}
    a, b, both = (runs[k].part("moments") for k in parts)
    assert_same(a + b, both)
    assert_same(both - b, a)
    joined, law = runs["a"].map, (a + b).law()
    beside = broad(law, components(law, joined.choice))
    modes = solve(law, joined.choice)
    again = SpectralMap.build(joined.quantiser, modes, joined.choice, beside)
    np.testing.assert_array_equal(again.vectors, runs["both"].map.vectors)
    np.testing.assert_array_equal(again.broad, runs["both"].map.broad)


def test_chunks_and_threads_change_no_bit(images, sibling, tmp_path, monkeypatch):
    whole = learned(images, tmp_path / "whole", founders_from=sibling)
    monkeypatch.setattr("stepwell.learner.chunk_of", lambda founders: 37)
    monkeypatch.setenv("STEPWELL_THREADS", "3")
    other = learned(open_source(images), tmp_path / "other", founders_from=sibling)
    assert_same(whole.part("moments"), other.part("moments"))
    np.testing.assert_array_equal(whole.map.vectors, other.map.vectors)
    np.testing.assert_array_equal(whole.map.broad, other.map.broad)
    np.testing.assert_array_equal(whole.index[1], other.index[1])
