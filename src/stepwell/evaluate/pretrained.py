"""The fifth control: a frozen network somebody else trained, from a local ONNX file.

The answer of a comparison may be "use that one, don't train". ONNX, because such a file
holds numbers and a graph, and no code: it is safe to open, unlike a pickled checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, UsageError

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in [0, 1]: what networks trained on it expect."""
SIDE = 224
_BLOCK = 32
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_WHOLE = ("pooler_output", "image_embeds", "embedding", "embeddings", "sentence_embedding")
"""What outputs are called that are of the whole image."""


class Layout(NamedTuple):
    """How a network takes images.

    Attributes
    ----------
    side : (int, int)
        Height and width.
    channels : int
    last : bool
        Whether channels are the last axis.
    kind : type
        Of its numbers; bytes are given as they are, from 0 to 255.
    most : int
        Images at once.
    fixed : bool
        Whether it takes just as many.
    """

    side: tuple[int, int]
    channels: int
    last: bool
    kind: type
    most: int
    fixed: bool


class Frozen:
    """Features of images by an ONNX network: one of its outputs, averaged over positions.

    Parameters
    ----------
    path : path
        One input of images, (n, 3, h, w) or (n, h, w, 3), in ImageNet's normalisation, or as bytes.

    Raises
    ------
    UsageError
        If there is no such file, no onnxruntime, or the network takes something else.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise UsageError(f"Expected a file of a pretrained network, found none at {path}.")
        runtime = _runtime()
        self._path = str(path)
        try:
            self._session = runtime.InferenceSession(
                self._path, providers=runtime.get_available_providers()
            )
        except Exception as error:  # onnxruntime has no common base class for these
            raise UsageError(
                f"Expected an ONNX network at {path}, found what can't be opened: {_first(error)} "
                f"Export yours with torch.onnx.export(model, example, FILE)."
            ) from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            listed = ", ".join(f"{each.name} ({each.type}, {each.shape})" for each in inputs)
            raise UsageError(
                f"Expected a network with one input, images (n, 3, height, width), found "
                f"{len(inputs)} in {path}: {listed}. Export it with the others set."
            )
        self._input = inputs[0].name
        self._layout = _layout(inputs[0], path)
        self._output: str = self._session.get_outputs()[0].name
        self._axes: tuple[int, ...] | None = None

    @property
    def side(self) -> int:
        """Pixels a side it takes; the longer one."""
        return max(self._layout.side)

    @property
    def how(self) -> str:
        """Which output was taken, and over which of its axes it was averaged."""
        if self._axes is None:
            return f"output {self._output!r}"
        over = f", averaged over axes {', '.join(map(str, self._axes))}" if self._axes else ""
        return f"output {self._output!r}{over}"

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        """(n, d) features of a batch of images."""
        if "image" not in batch.data:
            raise UsageError("Expected images for a pretrained network, found other data.")
        images, most = np.asarray(batch.data["image"]), self._layout.most
        parts = [self._run(images[i : i + most]) for i in range(0, len(images), most)]
        return np.concatenate([self._pooled(part) for part in parts])

    def _run(self, images: NDArray) -> NDArray[np.float32]:
        """What the network says of some images, of whatever shape."""
        count, layout = len(images), self._layout
        if layout.fixed:  # networks exported for one size of batch: fill it up
            images = np.concatenate([images, np.repeat(images[-1:], layout.most - count, axis=0)])
        try:
            found = self._session.run(None, {self._input: self._prepared(images)})
        except Exception as error:
            raise UsageError(
                f"Expected a network that takes images {layout.side[0]} x {layout.side[1]}, found "
                f"in {self._path}: {_first(error)}"
            ) from None
        names = [each.name for each in self._session.get_outputs()]
        known = {name: np.asarray(each) for name, each in zip(names, found, strict=True)}
        if self._axes is None:
            self._output = _chosen(known)
        out = known[self._output]
        if out.dtype.kind != "f" or out.ndim < 2 or len(out) < count:
            raise UsageError(
                f"Expected features (n, d), (n, t, d) or (n, d, h, w) from {self._path}, found "
                f"{out.dtype} of shape {out.shape} as {self._output!r}."
            )
        return out[:count].astype(np.float32)

    def _pooled(self, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d): the mean over positions, which are found out once."""
        if self._axes is None:
            self._axes = positions(out, self._layout.side)
        return np.asarray(out.mean(self._axes) if self._axes else out, np.float32)

    def _prepared(self, images: NDArray) -> NDArray[Any]:
        """(n, h, w, c) uint8 → what the network takes."""
        from PIL import Image

        layout = self._layout
        if images.shape[-1] not in (1, 3) or layout.channels == 1:
            images = images.mean(-1, keepdims=True)
        images = np.repeat(images, layout.channels // images.shape[-1], axis=-1).astype(np.uint8)
        size, how = (layout.side[1], layout.side[0]), Image.Resampling.BICUBIC
        plain = images[..., 0] if layout.channels == 1 else images
        resized = [np.asarray(Image.fromarray(image).resize(size, how)) for image in plain]
        ready = np.stack(resized).reshape(len(images), *layout.side, layout.channels)
        if layout.kind is not np.uint8:
            mean, spread = (np.array(each)[: layout.channels] for each in (MEAN, SPREAD))
            ready = (ready / 255.0 - mean) / spread
        ready = ready if layout.last else ready.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(ready, layout.kind)


def _layout(given: Any, path: str | Path) -> Layout:
    """How an input wants its images.

    Raises
    ------
    UsageError
    """
    shape = list(given.shape or ())
    known = [s if isinstance(s, int) and s > 0 else None for s in shape]
    last = len(known) == 4 and known[3] in (1, 3) and known[1] not in (1, 3)
    channels = (known[3] if last else known[1]) or 3 if len(known) == 4 else 0
    if channels not in (1, 3):
        raise UsageError(
            f"Expected a network for images (n, 3, height, width), found {shape} in {path}."
        )
    kind = _TYPES.get(given.type)
    if kind is None:
        raise UsageError(
            f"Expected a network of images as {', '.join(_TYPES)}, found {given.type} in {path}."
        )
    sides = known[1:3] if last else known[2:]
    height, width = (side or SIDE for side in sides)
    return Layout((height, width), channels, last, kind, known[0] or _BLOCK, bool(known[0]))


def _chosen(outputs: dict[str, NDArray]) -> str:
    """The output of the whole image, where one is called so; else the first."""
    flat = [name for name, each in outputs.items() if each.ndim == 2 and each.dtype.kind == "f"]
    named = [name for name in flat if name.lower() in _WHOLE]
    return (named or [*outputs])[0]


def positions(out: NDArray, side: tuple[int, int]) -> tuple[int, ...]:
    """Axes of positions, that features are averaged over.

    Of (n, a, b) the one that has as many places as patches of the image, with up to five tokens
    more (a class, registers). Where that is neither or both, and of four axes, it is told from
    what the network says: neighbouring places of an image are alike, so their mean still differs
    from image to image, while features of one place cancel each other.
    """
    if out.ndim == 2:
        return ()
    if out.ndim == 3:
        fits = [_is_places(out.shape[axis], side) for axis in (1, 2)]
        if fits[0] != fits[1]:
            return (1,) if fits[0] else (2,)
        tried: list[tuple[int, ...]] = [(1,), (2,)]
    elif out.ndim == 4:
        square = (out.shape[2] == out.shape[3], out.shape[1] == out.shape[2])
        if square[0] != square[1]:
            return (2, 3) if square[0] else (1, 2)
        tried = [(2, 3), (1, 2)]
    else:
        return tuple(range(2, out.ndim))
    alike = [_alike(out, axes) for axes in tried]
    return tried[int(np.argmax(alike))]


def _is_places(count: int, side: tuple[int, int]) -> bool:
    """Whether so many are the patches of an image, and a few tokens more."""
    for patch in range(2, max(side) + 1):
        if side[0] % patch == 0 and side[1] % patch == 0:
            patches = (side[0] // patch) * (side[1] // patch)
            if patches > 1 and 0 <= count - patches <= 5:
                return True
    return False


def _alike(out: NDArray, axes: tuple[int, ...]) -> float:
    """How alike the numbers along some axes are: the variance of their mean from image to image,
    in units of what it would be if each were by itself."""
    centred = out - out.mean(0)
    count = int(np.prod([out.shape[axis] for axis in axes]))
    return float(
        count * np.square(centred.mean(axes)).mean() / max(np.square(centred).mean(), 1e-30)
    )


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(
            "Expected onnxruntime for a pretrained network, found it not installed: "
            "pip install 'stepwell[pretrained]'"
        ) from None
    return onnxruntime
