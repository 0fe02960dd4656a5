"""The frozen fifth control, with small networks written here."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import write_network

from stepwell.evaluate.pretrained import MEAN, SPREAD, Frozen, positions
from stepwell.interfaces import UsageError
from stepwell.sources import open_source

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def images(n=5, channels=3):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 16, 16, channels), np.uint8)
    return next(iter(open_source(pixels).batches(n)))


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), ("n", 3, 24, 24), (2, 3, 24, 24)])
def test_features_are_the_first_output_averaged_over_positions(tmp_path, shape, pooled):
    batch = images()
    found = Frozen(write_network(tmp_path / "net.onnx", shape, pooled=pooled))(batch)
    expected = (batch.data["image"].mean((1, 2)) / 255 - MEAN) / SPREAD
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found, expected, atol=0.05)  # resizing moves means a little


def test_grey_images_are_shown_in_three_channels(tmp_path):
    found = Frozen(write_network(tmp_path / "net.onnx"))(images(channels=1))
    grey = found * SPREAD + MEAN
    np.testing.assert_allclose(grey, grey[:, :1] * np.ones(3), atol=1e-5)


def test_what_is_no_network_is_refused(tmp_path):
    with pytest.raises(UsageError, match="found none at"):
        Frozen(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UsageError, match="can't be opened"):
        Frozen(tmp_path / "text.onnx")
    with pytest.raises(UsageError, match="network for images"):
        Frozen(write_network(tmp_path / "five.onnx", ("n", 5, 8, 8)))


def test_other_data_is_refused(tmp_path):
    batch = images().with_data(text=np.array(["a"] * 5))
    with pytest.raises(UsageError, match="found other data"):
        Frozen(write_network(tmp_path / "net.onnx"))(batch)


def tokens_of(kind, size=24, tokens=5, features=12, seed=0):
    """(n, …) what a network says: places of an image are alike, features are not."""
    rng = np.random.default_rng(seed)
    each = rng.normal(size=(size, 1, features)) + 0.5 * rng.normal(size=(size, tokens, features))
    each -= each.mean(2, keepdims=True)  # as the last layer of a transformer leaves them
    return {"last": each, "first": each.transpose(0, 2, 1)}[kind].astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "side", "axes"),
    [
        ((4, 16, 24), (32, 32), (1,)),
        ((4, 197, 768), (224, 224), (1,)),
        ((4, 768, 49), (224, 224), (2,)),
        ((4, 261, 384), (224, 224), (1,)),  # registers
        ((4, 64, 7, 7), (224, 224), (2, 3)),
        ((4, 7, 7, 64), (224, 224), (1, 2)),
        ((4, 64), (224, 224), ()),
    ],
)
def test_positions_are_told_by_their_number(shape, side, axes):
    assert positions(np.random.default_rng(0).normal(size=shape), side) == axes


@pytest.mark.parametrize(("kind", "axes"), [("last", (1,)), ("first", (2,))])
def test_positions_are_told_by_their_likeness_where_numbers_do_not(kind, axes):
    assert positions(tokens_of(kind, tokens=11, features=23), (97, 97)) == axes
    both = tokens_of(kind, tokens=17, features=65)  # either could be patches of 32 pixels
    assert positions(both, (32, 32)) == axes


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE", "UINT8"])
@pytest.mark.parametrize("last", [False, True])
def test_numbers_and_layouts_of_every_kind_are_given(tmp_path, kind, last):
    import onnx
    from onnx import TensorProto, helper

    shape = ["n", 24, 24, 3] if last else ["n", 3, 24, 24]
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node(
            "ReduceMean", ["cast"], ["out"], axes=[1, 2] if last else [2, 3], keepdims=0
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", getattr(TensorProto, kind), shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    batch = images()
    plain = batch.data["image"].mean((1, 2))
    expected = plain if kind == "UINT8" else (plain / 255 - MEAN) / SPREAD
    found = Frozen(tmp_path / "net.onnx")(batch)
    np.testing.assert_allclose(found, expected, atol=1.5 if kind == "UINT8" else 0.06)


def test_a_second_input_is_named(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    given = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 8, 8]),
        helper.make_tensor_value_info("mask", TensorProto.BOOL, ["n", 64]),
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["out"])],
        "net",
        given,
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3, 8, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(UsageError, match=r"one input.*mask \(tensor\(bool\)"):
        Frozen(tmp_path / "two.onnx")
