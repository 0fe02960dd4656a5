"""Labels that are probably wrong, the most doubtful first.

A label is suspected where another class is much likelier while the label is held back, which is the
question of confident learning (C. Northcutt, L. Jiang & I. Chuang, JAIR 70, 2021). Its own
threshold, the share that examples of a class usually get, lists what a weak head mistakes: of 150
labels of CIFAR-10, a tenth of them wrong, 63, of which 18 % were wrong (docs/labels.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Row


def suspects(
    shares: NDArray, truth: NDArray[np.intp], classes: Sequence[str], ids: Sequence[str]
) -> list[Row]:
    """``id``, ``label``, what it is ``rather``, and ``doubt``: how likely that is if it is one of
    the two, up to 1.

    The other class has to be more than c + 1 times as likely, of c classes: among many some other
    one is likelier by chance.

    Parameters
    ----------
    shares : (n, c)
        Probabilities of held-out examples.
    truth : (n,) int
    """
    rather, kinds = shares.argmax(1), shares.shape[1]
    own, other = (np.take_along_axis(shares, c[:, None], 1)[:, 0] for c in (truth, rather))
    found = np.flatnonzero(other > (kinds + 1) * own)
    doubt = other / np.maximum(other + own, 1e-12)
    return [
        {
            "id": str(ids[i]),
            "label": classes[truth[i]],
            "rather": classes[rather[i]],
            "doubt": float(doubt[i]),
        }
        for i in found[np.argsort(-doubt[found], kind="stable")]
    ]
