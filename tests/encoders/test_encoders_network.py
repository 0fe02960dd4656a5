"""Backbones as encoders: any name, any weights, frozen."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import photo_windows, tiny_net

torch = pytest.importorskip("torch", reason="torch is an optional part")
pytest.importorskip("timm")

from stepwell.contract import check_encoder  # noqa: E402
from stepwell.encoders import NetworkEncoder  # noqa: E402
from stepwell.interfaces import Batch, StepwellError, UsageError  # noqa: E402
from stepwell.kit.hashing import digest_rows  # noqa: E402

OWN = "helpers:tiny_net"


def batch(count=20, side=32, channels=3):
    images = photo_windows(count)[:, :side, :side, :channels]
    ids = np.array([str(i) for i in range(len(images))])
    rows = [image.tobytes() for image in images]
    return Batch(ids, {"image": images}, ids, digest_rows(rows))


@pytest.mark.parametrize(
    ("name", "side", "channels", "width"),
    [
        (OWN, 32, 3, 16),
        ("resnet10t", 24, 1, 512),
        ("vit_tiny_patch16_224", 32, 3, 192),
        ("convnext_atto", 32, 3, 320),
    ],
)
def test_backbones_keep_the_contract(name, side, channels, width):
    some = batch(8, side, channels)
    check_encoder(lambda: NetworkEncoder(name, device="cpu"), some, some.take(slice(0, 5)))
    assert NetworkEncoder(name, device="cpu").fit(some).width == width


def test_small_images_keep_their_resolution_in_a_resnet():
    net = NetworkEncoder("resnet18", device="cpu", small=True).fit(batch(4)).module.net
    assert net.conv1.stride == (1, 1)
    assert isinstance(net.maxpool, torch.nn.Identity)
    plain = NetworkEncoder("resnet18", device="cpu").fit(batch(4))  # too slow on a CPU
    assert plain.module.net.conv1.stride == (2, 2)
    assert plain.randomised(1).module.net.conv1.stride == (2, 2)


def test_random_weights_are_those_of_the_seed():
    some = batch()
    one, two, other = (
        NetworkEncoder(OWN, device="cpu").fit(some, seed=seed).embed(some) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, other)


def test_images_of_another_size_are_resized():
    encoder = NetworkEncoder("resnet10t", side=24, device="cpu").fit(batch())
    assert encoder.embed(batch(3, 32)).shape == (3, 512)


def test_weights_of_a_file_are_used_and_others_refused(tmp_path):
    from safetensors.torch import save_file

    net, some = tiny_net(), batch()
    torch.nn.init.constant_(net[0].weight, 0.25)
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    encoder = NetworkEncoder(OWN, str(tmp_path / "w.safetensors"), device="cpu").fit(some)
    assert torch.all(encoder.module.net[0].weight == 0.25)
    save_file({"other": torch.ones(2)}, tmp_path / "o.safetensors")
    with pytest.raises(UsageError, match="found others"):
        NetworkEncoder(OWN, str(tmp_path / "o.safetensors"), device="cpu").fit(some)
    torch.save(net.state_dict(), tmp_path / "w.pth")
    with pytest.raises(UsageError, match="can run code"):
        NetworkEncoder(OWN, str(tmp_path / "w.pth"), device="cpu").fit(some)
    with pytest.raises(UsageError, match="found none"):
        NetworkEncoder(OWN, str(tmp_path / "gone.safetensors"), device="cpu").fit(some)


def test_weights_of_a_timm_model_travel_with_their_preprocessing(tmp_path):
    import timm
    from safetensors.torch import save_file

    model = timm.create_model("resnet10t", pretrained=False)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    path = str(tmp_path / "w.safetensors")
    encoder = NetworkEncoder("resnet10t", path, device="cpu").fit(batch(4))
    assert encoder.spec.mean == pytest.approx((0.485, 0.456, 0.406))
    assert encoder.spec.side == model.pretrained_cfg["input_size"][-1]
    images = encoder.prepared(batch(4).data["image"])
    model.reset_classifier(0)
    with torch.inference_mode():
        expected = model.eval()(images).numpy()
    np.testing.assert_allclose(encoder.embed(batch(4)), expected, rtol=1e-4, atol=1e-5)
    save_file({"x": torch.ones(1)}, tmp_path / "o.safetensors")
    with pytest.raises(UsageError, match="found others"):
        NetworkEncoder("resnet10t", str(tmp_path / "o.safetensors"), device="cpu").fit(batch(4))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnt18", "Did you mean 'resnet18'"),
        ("nowhere:net", "can be imported"),
        ("helpers:nothing", "can be imported"),
        ("helpers:no_net", "torch module"),
    ],
)
def test_unknown_backbones_are_refused(name, said):
    with pytest.raises(UsageError, match=said):
        NetworkEncoder(name, device="cpu").fit(batch())


def test_a_backbone_that_gives_nan_is_refused():
    with pytest.raises(StepwellError, match="finite features"):
        NetworkEncoder("helpers:broken_net", device="cpu").fit(batch())


def test_a_random_twin_is_another_network_of_the_same_kind():
    some = batch()
    encoder = NetworkEncoder(OWN, device="cpu").fit(some)
    twin, copy = encoder.randomised(7), encoder.copied()
    assert twin.embed(some).shape == encoder.embed(some).shape
    assert not np.allclose(twin.embed(some), encoder.embed(some))
    np.testing.assert_array_equal(copy.embed(some), encoder.embed(some))
