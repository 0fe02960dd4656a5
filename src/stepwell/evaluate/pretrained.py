"""The fifth control: a frozen network somebody else trained, from a local ONNX file.

The answer of a comparison may be "use that one, don't train". ONNX, because such a file
holds numbers and a graph, and no code: it is safe to open, unlike a pickled checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, UsageError

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in [0, 1]: what networks trained on it expect."""
SIDE = 224
_BLOCK = 32


class Frozen:
    """Features of images by an ONNX network: its first output, averaged over positions.

    Parameters
    ----------
    path : path
        One input of shape (n, 3, h, w), in ImageNet's normalisation.

    Raises
    ------
    UsageError
        If there is no such file, no onnxruntime, or the network takes something else.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise UsageError(f"Expected a file of a pretrained network, found none at {path}.")
        runtime = _runtime()
        try:
            self._session = runtime.InferenceSession(
                str(path), providers=runtime.get_available_providers()
            )
        except Exception as error:  # onnxruntime has no common base class for these
            first = str(error).splitlines()[0]
            raise UsageError(
                f"Expected an ONNX network at {path}, found what can't be opened: {first} "
                f"Export yours with torch.onnx.export(model, example, FILE)."
            ) from None
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise UsageError(
                f"Expected a network for images (n, 3, height, width), found {shape} in {path}."
            )
        self._side = tuple(s if isinstance(s, int) else SIDE for s in shape[2:])
        self._fixed = isinstance(shape[0], int)
        self._most = shape[0] if self._fixed else _BLOCK

    @property
    def side(self) -> int:
        """Pixels a side it takes; the longer one."""
        return max(self._side)

    def __call__(self, batch: Batch) -> NDArray[np.float32]:
        """(n, d) features of a batch of images."""
        if "image" not in batch.data:
            raise UsageError("Expected images for a pretrained network, found other data.")
        images = np.asarray(batch.data["image"])
        starts = range(0, len(images), self._most)
        return np.concatenate([self._features(images[i : i + self._most]) for i in starts])

    def _features(self, images: NDArray) -> NDArray[np.float32]:
        count = len(images)
        if self._fixed:  # networks exported for one size of batch: fill it up
            images = np.concatenate([images, np.repeat(images[-1:], self._most - count, axis=0)])
        out = self._session.run(None, {self._input.name: self._prepared(images)})[0][:count]
        axes = tuple(range(2, out.ndim))
        return np.asarray(out.mean(axes) if axes else out, np.float32)

    def _prepared(self, images: NDArray) -> NDArray[np.float32]:
        """(n, h, w, c) uint8 → (n, 3, side, side) as the network expects it."""
        from PIL import Image

        if images.shape[-1] not in (1, 3):
            images = images.mean(-1, keepdims=True)
        images = np.repeat(images, 3 // images.shape[-1], axis=-1).astype(np.uint8)
        size = (self._side[1], self._side[0])
        how = Image.Resampling.BICUBIC
        resized = [np.asarray(Image.fromarray(image).resize(size, how)) for image in images]
        scaled = (np.stack(resized) / 255.0 - MEAN) / SPREAD
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(
            "Expected onnxruntime for a pretrained network, found it not installed: "
            "pip install 'stepwell[pretrained]'"
        ) from None
    return onnxruntime
