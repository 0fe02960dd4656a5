"""Changes for the worse at five strengths, the same for every example (of images after D. Hendrycks
& T. Dietterich, ICLR 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch
from stepwell.kit.hashing import keys, uniform, uniform_each
from stepwell.kit.texts import column_of

STRENGTHS = 5
_NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)
"""Standard deviation, of the range of brightness."""
_BLUR = (0.02, 0.03, 0.045, 0.06, 0.09)
"""Standard deviation, of the side."""
_TURN = (5.0, 10.0, 20.0, 30.0, 45.0)
"""Degrees, to either side."""
_DARK = (0.8, 0.65, 0.5, 0.35, 0.2)
"""Share of the light that is left, or of the way to white, by halves."""
_DROPPED = (0.1, 0.2, 0.35, 0.5, 0.7)
"""Share of the words."""
_TYPED = (0.02, 0.05, 0.1, 0.15, 0.25)
"""Share of the letters."""
_WORD = 0xC0DE
Change = Callable[[Batch, int, int], Batch]


def _images(change: Callable[[NDArray, Batch, int, int], NDArray]) -> Change:
    def changed(batch: Batch, strength: int, seed: int) -> Batch:
        images = np.asarray(batch.data["image"], np.float32)
        found = change(images, batch, strength, seed)
        return batch.with_data(image=np.clip(np.rint(found), 0, 255).astype(np.uint8))

    return changed


def _drawn(batch: Batch, seed: int, count: int) -> NDArray[np.float64]:
    return np.asarray(uniform(keys(batch.digest, seed, 0, _WORD), count))


def noise(images: NDArray, batch: Batch, strength: int, seed: int) -> NDArray:
    """Gaussian, a number a pixel and channel."""
    from scipy.special import ndtri

    count = int(np.prod(images.shape[1:]))
    normal = ndtri(_drawn(batch, seed, count).clip(1e-6, 1 - 1e-6)).reshape(images.shape)
    return images + 255 * _NOISE[strength] * normal


def blur(images: NDArray, batch: Batch, strength: int, seed: int) -> NDArray:
    """Gaussian, along both sides."""
    from scipy.ndimage import gaussian_filter

    width = _BLUR[strength] * max(images.shape[1:3])
    return np.asarray(gaussian_filter(images, (0, width, width, 0), mode="nearest"))


def rotation(images: NDArray, batch: Batch, strength: int, seed: int) -> NDArray:
    """About the centre, half of them to the left."""
    from scipy.ndimage import rotate

    left = _drawn(batch, seed, 1)[:, 0] < 0.5
    found = np.empty_like(images)
    for side, sign in ((left, 1.0), (~left, -1.0)):
        angle = sign * _TURN[strength]
        found[side] = rotate(images[side], angle, (1, 2), reshape=False, order=1, mode="nearest")
    return found


def brightness(images: NDArray, batch: Batch, strength: int, seed: int) -> NDArray:
    """Half of them darker, half of them paler."""
    darker = (_drawn(batch, seed, 1)[:, 0] < 0.5)[:, None, None, None]
    kept = _DARK[strength]
    return np.where(darker, kept * images, 255 - kept * (255 - images))


def dropped(batch: Batch, strength: int, seed: int) -> Batch:
    """Words are left out; one stays at least."""
    texts = [str(text).split() for text in batch.data["text"]]
    drawn = uniform_each(keys(batch.digest, seed, 0, _WORD), np.array([len(t) for t in texts]))
    kept = np.split(drawn >= _DROPPED[strength], np.cumsum([len(t) for t in texts]))[:-1]
    told = [
        " ".join(word for word, stays in zip(text, own, strict=True) if stays) or text[0]
        if text
        else ""
        for text, own in zip(texts, kept, strict=True)
    ]
    return batch.with_data(text=column_of(told))


def misspelt(batch: Batch, strength: int, seed: int) -> Batch:
    """Letters change places with the next one."""
    texts = [list(str(text)) for text in batch.data["text"]]
    drawn = uniform_each(keys(batch.digest, seed, 0, _WORD), np.array([len(t) for t in texts]))
    chosen = np.split(drawn < _TYPED[strength], np.cumsum([len(t) for t in texts]))[:-1]
    for text, own in zip(texts, chosen, strict=True):
        for place in np.flatnonzero(own[:-1]):
            if text[place].isalpha() and text[place + 1].isalpha():
                text[place], text[place + 1] = text[place + 1], text[place]
    return batch.with_data(text=column_of(["".join(text) for text in texts]))


CORRUPTIONS: Mapping[str, Mapping[str, Change]] = {
    "image": {each.__name__: _images(each) for each in (noise, blur, rotation, brightness)},
    "text": {"words left out": dropped, "letters swapped": misspelt},
}
"""By kind of data."""


def corruptions_of(kind: str) -> Mapping[str, Change]:
    """Those of a kind of data; none where there are none."""
    return CORRUPTIONS.get(kind, {})
