"""Parts on disk: what is saved comes back; what is damaged says so."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.interfaces import StepwellError
from stepwell.kit.parts import load_part, save_part, toml

plain = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Thing:
    """A part that is just its state."""

    def __init__(self, settings, arrays):
        self.settings, self.arrays = dict(settings), dict(arrays)

    def state(self):
        return self.settings, self.arrays

    @classmethod
    def from_state(cls, settings, arrays):
        return cls(settings, arrays)


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "parts" / "thing"
    save_part(folder, Thing({"k": 3}, {"a": np.arange(6).reshape(2, 3)}), "thing")
    return folder


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_settings_come_back(tmp_path_factory, settings):
    folder = tmp_path_factory.mktemp("part") / "x"
    save_part(folder, Thing(settings, {}), "thing")
    assert load_part(folder, {"thing": Thing}).settings == settings


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i8", "u1", "u8", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_arrays_come_back(tmp_path, kind, shape):
    array = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(kind)
    save_part(tmp_path / "x", Thing({}, {"a": array, "b.c": array}), "thing")
    arrays = load_part(tmp_path / "x", {"thing": Thing}).arrays
    assert set(arrays) == {"a", "b.c"}
    assert arrays["a"].dtype == array.dtype
    np.testing.assert_array_equal(arrays["a"], array)


def test_views_of_arrays_are_saved_as_they_look(tmp_path):
    array = np.arange(12).reshape(3, 4).T[::2]
    save_part(tmp_path / "x", Thing({}, {"a": array}), "thing")
    np.testing.assert_array_equal(load_part(tmp_path / "x", {"thing": Thing}).arrays["a"], array)


def test_nothing_is_pickled(saved):
    assert sorted(p.name for p in saved.iterdir()) == ["arrays.safetensors", "part.toml"]
    with pytest.raises(StepwellError, match="object"):
        save_part(saved.with_name("y"), Thing({}, {"a": np.array([{}])}), "thing")


@pytest.mark.parametrize("name", ["arrays.safetensors", "part.toml"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "noise"])
def test_damage_is_told_clearly(saved, name, damage):
    file = saved / name
    raw = file.read_bytes()
    spoilt = {"empty": b"", "cut": raw[: len(raw) // 2], "noise": b"\xff" * len(raw)}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(spoilt[damage])
    with pytest.raises(StepwellError, match=r"Expected a whole part of a run in .* learn again"):
        load_part(saved, {"thing": Thing})


def test_a_part_of_a_plug_in_that_is_not_here(saved):
    with pytest.raises(StepwellError, match=r"Expected one of a, b, found 'thing'.*plug-in"):
        load_part(saved, {"b": Thing, "a": Thing})


def test_a_full_disk_is_told_clearly(tmp_path, monkeypatch):
    import safetensors.numpy

    def full(*_):
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(StepwellError, match=r"Expected to write .* found .*No space left.* Free"):
        save_part(tmp_path / "x", Thing({}, {}), "thing")


def test_toml_leaves_out_none_at_any_depth():
    text = toml({"a": None, "b": {"c": None, "d": 1}, "e": []})
    assert tomllib.loads(text) == {"b": {"d": 1}, "e": []}
