"""``network``: a torch backbone, frozen, as encoder of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.network.backbones import (
    SMALL,
    TRANSFORMERS,
    Spec,
    build,
    check_features,
    check_trusted,
    pretrained_spec,
    trust,
)
from stepwell.interfaces import Batch, Observer, UsageError, ignore
from stepwell.kit.torch import torch_or_error

_BLOCK = 64


class NetworkEncoder:
    """Features of a backbone, as they are: random, pretrained, or trained before.

    Parameters
    ----------
    backbone : str
        A model of timm ("resnet18", "vit_small_patch16_224"), or "package.module:function".
    weights : path or "hub", optional
        A .safetensors file of pretrained weights, whose preprocessing is then used too.
        "hub" downloads what timm names. None: random weights.
    side : int, optional
        Pixels a side the backbone sees. None: the canvas, or what pretrained weights expect.
    device : str, optional
        Where to compute. None: CUDA or MPS where there is one, else the CPU.
    options : mapping
        Further keywords of the model.
    small : bool, optional
        A stem that keeps the resolution of small images. None: for images of up to 96 pixels
        where there is an accelerator: on two cores it makes a resnet18 14 times slower.
    """

    name: ClassVar[str] = "network"
    kinds: ClassVar[frozenset[str]] = frozenset({"image"})

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str | None = None,
        side: int | None = None,
        device: str | None = None,
        options: Mapping[str, Any] | None = None,
        small: bool | None = None,
    ) -> None:
        self.backbone, self.weights, self.side = backbone, weights, side
        self.device, self.options = device or default_device(), dict(options or {})
        self.small = small
        self.spec: Spec | None = None
        self.module: Any = None
        self.width = 0

    def fit(self, founders: Batch, *, seed: int = 0, observe: Observer = ignore) -> Self:
        """Build the network for images like these; nothing is trained."""
        images = np.asarray(founders.data["image"])
        trust(self.backbone)
        self._place(self._spec_for(images), seed, self.weights)
        self._measure(images[:2])
        return self

    def _spec_for(self, images: NDArray) -> Spec:
        side, channels = self.side or images.shape[1], images.shape[-1]
        step = max(1, len(images) // 512)
        pixels = images[::step].reshape(-1, channels).astype(np.float64) / 255
        mean = tuple(round(float(m), 4) for m in pixels.mean(0))
        spread = tuple(round(max(float(s), 0.01), 4) for s in pixels.std(0))
        small = self.small
        if small is None:
            small = side <= SMALL and self.weights is None and self._keeps_resolution()
        spec = Spec(self.backbone, channels, side, small, mean, spread, self.options)
        known = pretrained_spec(spec, self.weights)
        return replace(known, side=self.side) if self.side else known

    def _keeps_resolution(self) -> bool:
        """A transformer has no cheaper stem that still sees anything."""
        return self.device != "cpu" or self.backbone.startswith(TRANSFORMERS)

    def _place(self, spec: Spec, seed: int, weights: str | None) -> None:
        if ":" not in spec.name and len(spec.mean) != spec.channels:  # one mean for grey images
            mean, spread = (
                (float(np.mean(side)),) * spec.channels for side in (spec.mean, spec.spread)
            )
            spec = replace(spec, mean=mean, spread=spread)
        self.spec, self.module = spec, build(spec, seed, weights).to(self.device).eval()

    def _measure(self, images: NDArray) -> None:
        with torch_or_error().inference_mode():
            features = self.module(self.prepared(images))
        check_features(features, self.backbone)
        self.width = int(features.shape[1])

    def prepared(self, images: Any) -> Any:
        """(n, h, w, c) in [0, 255] → (n, c, side, side) as the network expects it."""
        torch = torch_or_error()
        spec = self._built()
        x = torch.as_tensor(np.ascontiguousarray(images)).to(self.device)
        x = x.permute(0, 3, 1, 2).float() / 255
        if x.shape[-2:] != (spec.side, spec.side):
            size = (spec.side, spec.side)
            x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        mean, spread = (
            torch.tensor(side, device=self.device)[:, None, None]
            for side in (spec.mean, spec.spread)
        )
        return ((x - mean) / spread).contiguous(memory_format=torch.channels_last)

    def embed(self, batch: Batch) -> NDArray[np.float32]:
        """(n, width) float32 features."""
        torch, images = torch_or_error(), batch.data["image"]
        parts = [np.zeros((0, self.width), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), _BLOCK):
                found = self.module(self.prepared(images[start : start + _BLOCK]))
                parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)

    def randomised(self, seed: int) -> NetworkEncoder:
        """The same backbone with random weights: a control."""
        return self._twin(seed, self.device)

    def copied(self) -> NetworkEncoder:
        """The same network with weights of its own."""
        return self.on(self.device)

    def on(self, device: str) -> NetworkEncoder:
        """A copy on another device."""
        twin = self._twin(0, device)
        twin.module.load_state_dict(self.module.state_dict())
        return twin

    def _twin(self, seed: int, device: str) -> NetworkEncoder:
        twin = NetworkEncoder(self.backbone, None, self.side, device, self.options)
        twin._place(self._built(), seed, None)
        twin.width = self.width
        return twin

    def _built(self) -> Spec:
        if self.spec is None:
            raise UsageError("Expected a network that was fitted, found none: call fit first.")
        return self.spec

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The spec, and the weights as arrays."""
        weights = {k: v.detach().cpu().numpy() for k, v in self.module.state_dict().items()}
        return {"width": self.width, "spec": self._built().plain()}, weights

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        torch, spec = torch_or_error(), Spec.of(settings["spec"])
        check_trusted(spec)
        encoder = cls(spec.name, None, spec.side, None, spec.options)
        encoder._place(spec, 0, None)
        weights = {name: torch.tensor(np.asarray(value)) for name, value in arrays.items()}
        encoder.module.load_state_dict(weights)
        encoder.width = int(settings["width"])
        return encoder


def default_device() -> str:
    """ "cuda", "mps" or "cpu", the first that is there."""
    torch = torch_or_error()
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
