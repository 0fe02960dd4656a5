"""Views that move pixels: one bilinear sampler, and the maps that drive it."""

from __future__ import annotations

from math import log, log1p, pi
from typing import Any

from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from stepwell.views.base import Images, Numbers, View


def _taps(position: Any, size: int) -> tuple[Any, Any, Any]:
    """Lower and upper neighbour and the share of the upper; outside repeats the border."""
    xp = array_namespace(position)
    position = xp.clip(position, 0, size - 1)
    low = xp.astype(position, xp.int64)
    return low, xp.clip(low + 1, 0, size - 1), xp.astype(position - low, xp.float32)


def sample(images: Images, y: Any, x: Any) -> Images:
    """Bilinear: (n, h, w, c) images read at pixel positions y, x of shape (n, h, w)."""
    n, height, width, channels = images.shape
    y0, y1, fy = _taps(y, height)
    x0, x1, fx = _taps(x, width)
    flat = images.reshape(-1, channels)
    base = (_counted(images, n) * (height * width))[:, None, None]
    fy, fx = fy[..., None], fx[..., None]
    top = flat[base + y0 * width + x0] * (1 - fx) + flat[base + y0 * width + x1] * fx
    low = flat[base + y1 * width + x0] * (1 - fx) + flat[base + y1 * width + x1] * fx
    return top * (1 - fy) + low * fy


def sample_box(images: Images, y: Any, x: Any) -> Images:
    """The same where rows and columns move apart: positions y (n, h), x (n, w)."""
    xp = array_namespace(images)
    rows = _counted(images, len(images))[:, None]
    low, high, share = _taps(y, images.shape[1])
    share = share[..., None, None]
    tall = images[rows, low] * (1 - share) + images[rows, high] * share
    low, high, share = _taps(x, images.shape[2])
    share = share[..., None, None]
    tall = xp.permute_dims(tall, (0, 2, 1, 3))
    wide = tall[rows, low] * (1 - share) + tall[rows, high] * share
    return xp.asarray(xp.permute_dims(wide, (0, 2, 1, 3)), copy=True)


def _counted(images: Images, count: int) -> Any:
    """0, 1, 2 …, where the images are."""
    return array_namespace(images).arange(count, device=device(images))


def _centred(images: Images, axis: int) -> Any:
    """Pixel positions along an axis measured from the middle, in pixels."""
    size = images.shape[axis]
    return _counted(images, size) - (size - 1) / 2


class Flip(View):
    """Mirror left to right, with probability strength."""

    name, slots, default, summary = "flip", 1, 0.5, "mirrors left to right, with probability"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        xp = array_namespace(images)
        chosen = (u[:, 0] < self.strength)[:, None, None, None]
        return xp.where(chosen, xp.flip(images, axis=2), images)


class Crop(View):
    """Zoom into a part of area 1 - strength … 1, aspect ± 20 %, back to full size."""

    name, slots, default, summary = "crop", 4, 0.5, "zooms into a part of area 1 - strength … 1"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        xp = array_namespace(u)
        area = 1 - self.strength * u[:, 0]
        spread = log(1.2) if self.strength else 0.0
        aspect = xp.exp(spread * (2 * u[:, 1] - 1))
        tall, wide = xp.sqrt(area * aspect), xp.sqrt(area / aspect)
        return cut(images, tall, wide, u[:, 2:])


def cut(images: Images, tall: Any, wide: Any, corner: Any, sides: Any = None) -> Images:
    """A box of each image, at full size or of ``sides``.

    Parameters
    ----------
    images : (n, h, w, c)
    tall, wide : (n,)
        Of the box, as shares of the image.
    corner : (n, 2)
        Where it is, from 0 (top, left) to 1 (bottom, right).
    sides : (int, int), optional
        Rows and columns of the result.
    """
    xp, positions = array_namespace(corner), []
    sizes = images.shape[1:3]
    for axis, share in enumerate((tall, wide)):
        size, wanted = sizes[axis], (sides or sizes)[axis]
        extent = xp.clip(share, 0, 1)[:, None] * size
        steps = (_counted(images, wanted) + 0.5) / wanted
        positions.append((size - extent) * corner[:, axis, None] + extent * steps - 0.5)
    return sample_box(images, *positions)


def quarter_turns(images: Images, turns: Any) -> Images:
    """Square images turned to the left by (n,) times 90 degrees: no pixel is between others."""
    xp, turns = array_namespace(images), turns[:, None, None, None]
    images = xp.where(turns % 2 == 1, xp.permute_dims(images, (0, 2, 1, 3)), images)
    upside_down = (turns == 1) | (turns == 2)
    images = xp.where(upside_down, xp.flip(images, axis=1), images)
    return xp.where(turns >= 2, xp.flip(images, axis=2), images)


class Scaling(View):
    """Larger or smaller about the middle by up to 1 + strength; the border repeats."""

    name, slots, default, summary = "scaling", 1, 0.25, "larger or smaller, up to 1 + strength"
    most = 4.0

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        factor = array_namespace(u).exp(log1p(self.strength) * (2 * u[:, 0] - 1))[:, None]
        middles = [(size - 1) / 2 for size in images.shape[1:3]]
        y, x = (m + _centred(images, 1 + i) * factor for i, m in enumerate(middles))
        return sample_box(images, y, x)


class Translation(View):
    """Move by up to strength of the side each way; the border repeats."""

    name, slots, default, summary = "translation", 2, 0.1, "moves by up to strength of the side"

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        move = self.strength * (2 * u - 1)
        y, x = (
            _counted(images, size) + move[:, i, None] * size
            for i, size in enumerate(images.shape[1:3])
        )
        return sample_box(images, y, x)


class Rotation(View):
    """Turn by up to strength degrees about the middle; the border repeats."""

    name, slots, default, summary = "rotation", 1, 15.0, "turns by up to strength degrees"
    most = 180.0

    def apply(self, images: Images, u: Numbers, key: NDArray) -> Images:
        xp = array_namespace(u)
        angle = (self.strength * (2 * u[:, 0] - 1) * (pi / 180))[:, None, None]
        height, width = images.shape[1:3]
        y, x = _centred(images, 1)[None, :, None], _centred(images, 2)[None, None, :]
        sine, cosine = xp.sin(angle), xp.cos(angle)
        return sample(
            images,
            (height - 1) / 2 + cosine * y - sine * x,
            (width - 1) / 2 + sine * y + cosine * x,
        )
