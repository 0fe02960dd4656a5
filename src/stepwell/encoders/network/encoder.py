"""``network``: a torch backbone, frozen, as encoder of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.copies import Copies
from stepwell.encoders.network.backbones import (
    SMALL,
    TRANSFORMERS,
    Spec,
    build,
    check_features,
    patch_of,
    plain_transformer,
    pretrained_spec,
)
from stepwell.interfaces import Batch, Observer, UsageError, ignore
from stepwell.kit.schema import Schema, whole
from stepwell.kit.torch import arrays_of, judging, no_larger, torch_or_error
from stepwell.kit.trust import trust

_BLOCK = {"cpu": 64}
"""Images that are embedded at once; 512 elsewhere."""
_PIXELS = 2**20
"""Numbers of an image from which on there are fewer."""


class NetworkEncoder(Copies):
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
    named : bool
        Whether it is the user who names the backbone, so that code of one's own is run; False where
        a file may have named it.
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
        named: bool = True,
    ) -> None:
        self._named = named
        self.backbone, self.weights, self.side = backbone, weights, side
        self.device, self.options = device or default_device(), dict(options or {})
        self.small = small
        self.spec: Spec | None = None
        self.module: Any = None
        self.width, self._canvas = 0, 0

    def fit(self, founders: Batch, *, seed: int = 0, observe: Observer = ignore) -> Self:
        """Build the network for images like these; nothing is trained."""
        images = np.asarray(founders.data["image"])
        if self._named:
            trust(self.backbone)
        self._canvas = images.shape[1]
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
        options = self.options
        if self.weights is None and plain_transformer(self.backbone):
            # A mean of places serves every objective; only some would train a class token.
            options = {"global_pool": "avg", **options}
        spec = Spec(self.backbone, channels, side, small, mean, spread, options)
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
        self._norm: Any = None  # mean and spread where the network is, made once
        self.spec, self.module = spec, build(spec, seed, weights).to(self.device).eval()

    def _measure(self, images: NDArray) -> None:
        try:
            with torch_or_error().inference_mode():
                features = self.module(self.prepared(images))
        except (AssertionError, RuntimeError) as error:
            raise UsageError(
                f"Expected images of a size that {self.backbone} takes, found "
                f"{images.shape[1]} x {images.shape[2]}: {str(error).splitlines()[0]}"
            ) from None
        check_features(features, self.backbone)
        self.width = int(features.shape[1])

    @property
    def pixels(self) -> tuple[int, int, int]:
        """Channels, height and width that it sees."""
        spec = self._built()
        return spec.channels, spec.side, spec.side

    def places(self) -> int:
        """Of how many places the network has features, a square number.

        Raises
        ------
        UsageError
            Where they are not those of a square, or of another width than the whole's.
        """
        torch, spec = torch_or_error(), self._built()
        x = torch.zeros(2, spec.channels, spec.side, spec.side, device=self.device)
        try:
            with torch.inference_mode():
                found = self.module.everything(x)
        except RuntimeError as error:
            if "Sizes of tensors" not in str(error):
                raise
            raise UsageError(
                f"Expected a backbone whose places have as many features as the whole, found "
                f"{self.backbone}: {str(error).splitlines()[0]}"
            ) from None
        count = found.shape[1] - 1
        if round(count**0.5) ** 2 != count or found.shape[2] != self.width:
            raise UsageError(
                f"Expected a backbone with features of a square of places, found {self.backbone} "
                f"with {count} places: take a ViT, or another objective."
            )
        return int(count)

    def placed(self, images: Any) -> Any:
        """Images as a tensor where the network computes."""
        torch = torch_or_error()
        if not isinstance(images, torch.Tensor):
            images = torch.as_tensor(np.ascontiguousarray(images))
        return images.to(self.device)

    def inputs(self, batch: Batch) -> Any:
        """What :meth:`prepared` takes of a batch."""
        return batch.data["image"]

    def prepared(self, images: Any) -> Any:
        """(n, h, w, c) in [0, 255] → (n, c, side, side) as the network expects it; of views
        that are smaller than the canvas, a part of that."""
        torch, spec = torch_or_error(), self._built()
        x = self.placed(images).permute(0, 3, 1, 2).float() / 255
        smaller = x.shape[-2] / self._canvas if x.shape[-2] <= self._canvas / 2 else 1.0
        step = patch_of(self.module)
        size = (max(round(spec.side * smaller / step), 1) * step,) * 2
        if x.shape[-2:] != size:
            x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        if self._norm is None or self._norm[0].device != x.device:
            pair = (torch.tensor(each)[:, None, None] for each in (spec.mean, spec.spread))
            self._norm = [each.to(x.device) for each in pair]
        mean, spread = self._norm
        return ((x - mean) / spread).contiguous(memory_format=torch.channels_last)

    def embed(self, batch: Batch) -> NDArray[np.float32]:
        """(n, width) float32 features; those of a network in training too, which it stays."""
        images, parts = batch.data["image"], [np.zeros((0, self.width), np.float32)]
        with judging(self.module):
            size = self._block()
            for start in range(0, len(images), size):
                found = self.module(self.prepared(images[start : start + size]))
                parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)

    def _block(self) -> int:
        """Images that are embedded at once: of large ones fewer."""
        spec, size = self._built(), _BLOCK.get(self.device, 512)
        return max(1, min(size, _PIXELS * size // (spec.side**2 * spec.channels)))

    def _twin(self, seed: int, device: str) -> Self:
        twin = type(self)(self.backbone, None, self.side, device, self.options)
        twin._place(self._built(), seed, None)
        twin.width, twin._canvas = self.width, self._canvas
        return twin

    def _built(self) -> Spec:
        if self.spec is None:
            raise UsageError("Expected a network that was fitted, found none: call fit first.")
        return self.spec

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The spec, and the weights as arrays."""
        return {"width": self.width, "spec": self._built().plain()}, arrays_of(self.module)

    schema: ClassVar[Schema] = Schema({"width": whole(1, 1_000_000)}, others=True)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        torch, spec = torch_or_error(), Spec.of(settings["spec"])
        encoder = cls(spec.name, None, spec.side, None, spec.options, named=False)
        with no_larger(arrays):
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
