"""Augmentations of images: each a named view with a strength, driven by hashed numbers.

A view is a pure function of pixels and of uniform numbers; :func:`render` draws the
numbers as an integer hash of (seed, digest, epoch, view, slot), so that a view of an
example is the same in any batch, order or thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from stepwell.interfaces import Batch, UsageError
from stepwell.kit.hashing import keys, uniform
from stepwell.kit.names import nearest
from stepwell.kit.plugins import OWN, fitting, registered
from stepwell.kit.threads import in_blocks
from stepwell.views.base import Images, View, like
from stepwell.views.colour import Brightness, Contrast, Gain, Grey, Saturation
from stepwell.views.geometry import Crop, Flip, Rotation, Scaling, Translation, cut, quarter_turns
from stepwell.views.texture import Blur, Erase, Noise

VIEWS: dict[str, type[View]] = {
    view.name: view
    for view in (
        Flip,
        Crop,
        Rotation,
        Scaling,
        Translation,
        Brightness,
        Contrast,
        Saturation,
        Gain,
        Grey,
        Blur,
        Noise,
        Erase,
    )
}

RECIPES: dict[str, str] = {
    "flip": "flip",
    "shift": "translation:0.06",
    "jitter-mild": "brightness:0.2 contrast:0.2 saturation:0.2 gain:0.05",
    "jitter": "brightness:0.4 contrast:0.4 saturation:0.4 gain:0.15 grey:0.2",
    "zoom": "crop:0.5",
    "zoom-mild": "crop:0.25",
    "zoom-strong": "crop:0.8",
    "rotation": "rotation:15",
    "rotation-strong": "rotation:30",
    "blur": "blur:0.06",
    "blur-mild": "blur:0.02",
    "noise": "noise:0.1",
    "noise-mild": "noise:0.03",
    "erase": "erase:0.2",
}
"""Named mixtures. What the label-free choice tries of them: FAMILIES in pretexts/two_views.py."""

_BLOCK_BYTES = 2**20


def parse(recipe: str) -> list[View]:
    """Views of a recipe: a name in :data:`RECIPES`, or ``"crop:0.5 brightness:0.4"``.

    Views of plug-ins (entry points ``stepwell.views``) are known by their names too.

    Raises
    ------
    UsageError
        For an unknown name, or a strength that is no number or out of range.
    """
    known = registered("views", VIEWS)
    views = []
    for word in RECIPES.get(recipe, recipe).split():
        name, _, strength = word.partition(":")
        if OWN.fullmatch(word) and name not in known | RECIPES:  # crop:a is a strength misspelt
            views.append(fitting("views", word)())
            continue
        if name in RECIPES and name not in known:
            views += parse(name)
        elif name not in known:
            raise UsageError(
                f"Expected the name of a view, found {name!r}."
                f"{_hint(name, known | RECIPES)} Views: {', '.join(known | RECIPES)}."
            )
        else:
            views.append(_made(known[name], name, strength))
    return views


def _hint(name: str, known: Mapping[str, object]) -> str:
    if "," in name:
        return f" Put spaces between views: {name.replace(',', ' ')!r}."
    return nearest(name, known)


def _made(kind: type[View], name: str, strength: str) -> View:
    try:
        return kind(float(strength)) if strength else kind()
    except ValueError:
        raise UsageError(
            f"Expected a number from 0 to {kind.most:g} as strength of {name!r}, found "
            f"{strength!r}: write for example {name}:{kind().strength}"
        ) from None


def render(batch: Batch, views: Sequence[View], seed: int, epoch: int = 0) -> Batch:
    """The batch with its images seen through ``views``, one after the other.

    Images are of any array library: those on an accelerator stay there.

    Returns
    -------
    Batch
        ``image`` (n, h, w, c) float32 in [0, 255]; ids, groups and digests unchanged.
    """
    source = batch.data["image"]

    def block(rows: slice) -> Images:
        xp = array_namespace(source)
        images = xp.astype(source[rows], xp.float32, copy=False)
        words = (zlib.crc32(f"{place}:{v.name}".encode()) for place, v in enumerate(views))
        known = [keys(batch.digest[rows], seed, epoch, word) for word in words]
        drawn = [uniform(key, view.slots) for key, view in zip(known, views, strict=True)]
        if not drawn:
            return images
        numbers, first = like(images, np.concatenate(drawn, axis=1)), 0  # in one transfer
        for view, key in zip(views, known, strict=True):
            images = view.apply(images, numbers[:, first : first + view.slots], key)
            first += view.slots
        return images

    if not is_numpy_array(source):  # an accelerator has no need of blocks
        return batch.with_data(image=block(slice(None)))
    # Few at a time: what a view makes on the way then stays in the cache.
    size = max(1, _BLOCK_BYTES // max(4 * int(np.prod(np.shape(source)[1:])), 1))
    parts = in_blocks(block, len(batch), size) or [block(slice(0, 0))]
    return batch.with_data(image=np.concatenate(parts))


def pictures(images: NDArray) -> NDArray[np.uint8]:
    """Any images in [0, 255] as uint8, rounded."""
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


__all__ = [
    "RECIPES",
    "VIEWS",
    "View",
    "cut",
    "like",
    "parse",
    "pictures",
    "quarter_turns",
    "render",
]
