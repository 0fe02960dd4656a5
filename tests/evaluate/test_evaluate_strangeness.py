"""Strange examples are called so, one by one and together."""

import numpy as np
import pytest

from stepwell.evaluate.strangeness import Typical, Usual, sampled, shift
from stepwell.kit.nearest import unit


def test_examples_like_the_known_ones_are_typical_and_others_are_not():
    rng = np.random.default_rng(0)
    known, new = (rng.standard_normal((n, 6)) * [3, 3, 1, 0.1, 0.1, 0.1] for n in (900, 2000))
    typical = Typical(known)
    p = typical(new)
    for level in (0.01, 0.1, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.5 * level + 0.01)
    assert typical(np.eye(6)[3:]).max() < 0.01
    assert typical(np.zeros((1, 6))).max() < 0.01
    assert Typical(known[:2])(new).min() > 0


def codes_of(n, rng, scale=1.0):
    """Much in a few directions, little in the others."""
    return np.rint(rng.standard_normal((n, 200)) * np.where(np.arange(200) < 20, 20, 2) * scale)


def known_and(new_scale=1.0):
    rng = np.random.default_rng(0)
    known, new = codes_of(1200, rng), codes_of(600, rng, new_scale)
    usual = Usual.of(known, np.arange(len(known)))
    typical = Typical(unit(known[:, :20]), usual)
    return typical(unit(new[:, :20]), new), usual


def test_p_values_of_examples_like_the_known_ones_are_even():
    p, _ = known_and()
    for level in (0.01, 0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.4 * level + 0.012)
    assert shift(p) == 0


def test_few_known_examples_do_not_make_others_strange():
    """The promise is kept on average over known examples, few as they are."""
    flagged = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        known, new = codes_of(220, rng), codes_of(300, rng)
        usual = Usual.of(known, np.arange(len(known)))
        typical = Typical(unit(known[:, :20]), usual)(unit(new[:, :20]), new)
        flagged.append((typical <= 0.02).mean())
    assert 0.01 < np.mean(flagged) < 0.03


@pytest.mark.parametrize("place", ["within", "without"])
@pytest.mark.parametrize("times", [0.4, 2.5])
def test_what_the_embedding_does_not_see_is_strange_too(place, times):
    """Larger or smaller features, in the directions that vary most or in the others."""
    rows = np.arange(200) < 20 if place == "within" else np.arange(200) >= 20
    p, _ = known_and(np.where(rows, times, 1.0))
    assert np.mean(p <= 0.01) > 0.9
    assert shift(p) > 0.9


def test_a_slight_shift_is_told_of_many_together():
    p, _ = known_and(np.where(np.arange(200) < 20, 0.75, 1.0))
    assert np.mean(p <= 0.01) < 0.3
    assert shift(p) > 0.2
    assert shift(p[:3]) == 0  # of three it may be chance
    assert shift([]) == 0


def test_what_is_usual_comes_back_from_disk():
    codes = codes_of(50, np.random.default_rng(1))
    _, usual = known_and()
    again = Usual.from_state(*usual.state())
    np.testing.assert_array_equal(again(codes), usual(codes))


def test_too_few_say_nothing_of_what_is_usual():
    assert Usual.of(codes_of(199, np.random.default_rng(0)), np.arange(199)) is None
    assert len(sampled(199)) == 199
    assert 3000 < len(sampled(100_000)) <= 4000
