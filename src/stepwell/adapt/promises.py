"""How far the promises of a head reach: class by class, and for data that is mixed otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.head import Held
from stepwell.adapt.sets import usual_sets
from stepwell.interfaces import Row

UNLIKE = 0.2
"""Total variation between the mix of classes among labels and among examples: the least that is
told."""


def covered(held: Held | None, classes: Sequence[str]) -> list[Row]:
    """Of each class with held-back labels: ``class``, how many were ``held``, in which share of
    them the set that promises nine in ten held the right label (``covered``), and its mean
    ``size``."""
    sets = usual_sets(held)
    if sets is None or held is None:
        return []
    inside = sets(held.shares)
    rows = []
    for place, name in enumerate(classes):
        own = inside[held.truth == place]
        if len(own):
            facts = {"covered": float(own[:, place].mean()), "size": float(own.sum(1).mean())}
            rows.append({"class": name, "held": len(own), **facts})
    return rows


def mixed_otherwise(
    held: Held | None, told: NDArray[np.float64], classes: Sequence[str]
) -> Row | None:
    """The class that labels have most too few or too many of, beside examples without a label.

    Both by what the head says, of labels while they were held back: its mistakes are then the same
    in both, and only the mix is not.

    Parameters
    ----------
    held : Held, optional
    told : (m, c)
        Probabilities of the examples.

    Returns
    -------
    dict or None
        ``class``, its share of ``labels`` and of ``data`` as the head tells them; None where both
        are mixed alike, as far as so few labels tell.
    """
    if held is None or not len(told):
        return None
    labels, data = (
        np.bincount(each.argmax(1), minlength=len(classes)) / len(each)
        for each in (held.shares, told)
    )
    chance = np.sqrt(data * (1 - data) / (2 * np.pi * len(held.truth))).sum()  # mean of half |gap|
    if np.abs(labels - data).sum() / 2 < max(UNLIKE, 2 * chance):
        return None
    most = int(np.abs(labels - data).argmax())
    return {"class": classes[most], "labels": float(labels[most]), "data": float(data[most])}
