"""What a part may hold: checked before anything is made of it, whatever stands in its files."""

from __future__ import annotations

import json
import struct
from typing import ClassVar

import numpy as np
import pytest
import tomli_w
from safetensors.numpy import save_file

from stepwell.adapt import Head, LabelSums, Terms, Witnesses
from stepwell.encoders import ENCODERS
from stepwell.engines import MOMENTS, PairCounts, SpectralMap
from stepwell.engines.quantise import Quantiser
from stepwell.evaluate.strangeness import Usual
from stepwell.interfaces import StepwellError
from stepwell.kit.parts import check_fit, load_part
from stepwell.kit.schema import Schema, Table, either, entries, nothing, number, several, whole

OWN = (SpectralMap, PairCounts, Head, Terms, LabelSums, Usual, Witnesses, Quantiser)


class Grid:
    """A part whose arrays depend on each other."""

    schema: ClassVar[Schema] = Schema(
        {"side": whole(1, 100)},
        {"a": Table("f", ("n", "d"), -10, 10), "b": Table("i", ("d",), 0)},
    )

    def __init__(self, settings, arrays):
        self.takes = arrays["a"].shape[1]

    @classmethod
    def from_state(cls, settings, arrays):
        return cls(settings, arrays)


class Plugin:
    """One that says nothing of what it holds."""

    @classmethod
    def from_state(cls, settings, arrays):
        return settings, arrays


def written(folder, told, arrays):
    folder.mkdir(exist_ok=True)
    (folder / "part.toml").write_text(tomli_w.dumps(told), encoding="utf-8")
    save_file(arrays, folder / "arrays.safetensors")
    return folder


def good():
    return {"a": np.zeros((3, 2), np.float32), "b": np.zeros(2, np.int64)}


def read(folder, kind="grid"):
    return load_part(folder, {"grid": Grid, "plugin": Plugin})


def test_every_part_of_ours_says_what_it_holds():
    for kind in (*OWN, *MOMENTS.values(), *ENCODERS.values()):
        assert hasattr(kind, "schema"), kind


def test_what_fits_is_read(tmp_path):
    assert read(written(tmp_path / "p", {"kind": "grid", "settings": {"side": 3}}, good()))


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"kind": "grid"},
        {"kind": "grid", "settings": 3},
        {"kind": "grid", "settings": [{"side": 3}]},
        {"kind": ["grid"], "settings": {"side": 3}},
        {"kind": {"grid": 1}, "settings": {"side": 3}},
        {"kind": 1, "settings": {"side": 3}},
        {"kind": "other", "settings": {"side": 3}},
        {"kind": "grid", "settings": {}},
        {"kind": "grid", "settings": {"side": 10**12}},
        {"kind": "grid", "settings": {"side": True}},
        {"kind": "grid", "settings": {"side": 3.0}},
        {"kind": "grid", "settings": {"side": "3"}},
    ],
)
def test_settings_that_nobody_wrote_are_refused(tmp_path, told):
    with pytest.raises(StepwellError, match="Expected"):
        read(written(tmp_path / "p", told, good()))


@pytest.mark.parametrize(
    "change",
    [
        {"a": np.zeros((3, 5), np.float32)},
        {"a": np.zeros(3, np.float32)},
        {"a": np.zeros((3, 2), np.int32)},
        {"a": np.full((3, 2), np.nan, np.float32)},
        {"a": np.full((3, 2), np.inf, np.float32)},
        {"a": np.full((3, 2), 11, np.float32)},
        {"b": np.full(2, -1)},
        {"c": np.zeros(2)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change):
    folder = written(tmp_path / "p", {"kind": "grid", "settings": {"side": 3}}, good() | change)
    with pytest.raises(StepwellError, match="damaged, or was changed"):
        read(folder)


def test_a_shape_larger_than_its_file_is_refused_before_there_is_room_for_it(tmp_path):
    folder = written(tmp_path / "p", {"kind": "grid", "settings": {"side": 3}}, good())
    told = {"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 24]}}
    text = json.dumps(told).encode()
    content = struct.pack("<Q", len(text)) + text + bytes(24)
    (folder / "arrays.safetensors").write_bytes(content)
    with pytest.raises(StepwellError, match="whole part"):
        read(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_of_plug_ins_are_finite_too(tmp_path, value):
    told = {"kind": "plugin", "settings": {"any": ["thing"]}}
    assert read(written(tmp_path / "p", told, {"x": np.ones(3)}))
    with pytest.raises(StepwellError, match="not finite"):
        read(written(tmp_path / "p", told, {"x": np.array([1, value])}))


@pytest.mark.parametrize("how", [KeyError("x"), MemoryError(), IndexError(), AssertionError()])
def test_whatever_a_class_makes_of_it_is_our_error(tmp_path, how):
    class Fails(Plugin):
        @classmethod
        def from_state(cls, settings, arrays):
            raise how

    folder = written(tmp_path / "p", {"kind": "it", "settings": {}}, {"x": np.ones(3)})
    with pytest.raises(StepwellError, match=str(tmp_path)):
        load_part(folder, {"it": Fails})


def test_a_panic_of_a_library_is_our_error(tmp_path):
    class PanicException(BaseException):
        """As libraries in Rust raise it."""

    class Panics(Plugin):
        @classmethod
        def from_state(cls, settings, arrays):
            raise PanicException("index out of bounds")

    class Stopped(Plugin):
        @classmethod
        def from_state(cls, settings, arrays):
            raise KeyboardInterrupt

    folder = written(tmp_path / "p", {"kind": "it", "settings": {}}, {"x": np.ones(3)})
    with pytest.raises(StepwellError, match="index out of bounds"):
        load_part(folder, {"it": Panics})
    with pytest.raises(KeyboardInterrupt):
        load_part(folder, {"it": Stopped})


def test_parts_that_read_other_features_are_told(tmp_path):
    part = read(written(tmp_path / "p", {"kind": "grid", "settings": {"side": 3}}, good()))
    check_fit(tmp_path, part, 2)
    with pytest.raises(StepwellError, match="made for 2 features where there are 7"):
        check_fit(tmp_path, part, 7)


def test_rules_of_rules():
    rule = entries({"a": several(whole(0, 5), 3, 1)}, {"b": either(number(), nothing)})
    rule({"a": [1, 2], "b": None, "other": "left alone"})
    for wrong in ({}, {"a": []}, {"a": [6]}, {"a": [1] * 4}, {"a": [1], "b": "x"}, [], None):
        with pytest.raises(ValueError, match=r"."):
            rule(wrong)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("moments", {"width": 100_000, "units": {"1": 5}}),
        ("moments", {"width": 10**12, "units": {}}),
        ("moments", {"width": 4, "units": {" 2": 5}}),
        ("placed_moments", {"width": 4, "places": [[0, 0], [1]], "units": 0}),
        ("placed_moments", {"width": 4, "places": [[i, 0] for i in range(900)], "units": 0}),
        ("placed_moments", {"width": 4, "places": [[0, 0], [0, 1]], "units": 7}),
    ],
)
def test_sums_that_nobody_added_up_are_refused(tmp_path, kind, settings):
    assert kind in MOMENTS
    folder = written(tmp_path / "p", {"kind": kind, "settings": settings}, {})
    with pytest.raises(StepwellError, match="whole part"):
        load_part(folder, MOMENTS)


def test_sums_of_nothing_take_no_room(tmp_path):
    told = {"kind": "moments", "settings": {"width": 100_000, "units": {}}}
    assert load_part(written(tmp_path / "p", told, {}), MOMENTS).units == 0


def test_a_network_may_ask_for_no_more_weights_than_there_are():
    torch = pytest.importorskip("torch")
    from stepwell.kit.torch import no_larger

    with no_larger({"weight": np.zeros((10, 10))}):
        torch.nn.Linear(10, 10)
    with pytest.raises((ValueError, RuntimeError)), no_larger({}):
        torch.nn.Linear(10**5, 10**5)
    with pytest.raises(ValueError, match="not as many"), no_larger({}):
        torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(10**5))
    torch.nn.Linear(5000, 5000)  # nothing is counted any more
