"""Labels that are probably wrong, the most doubtful first.

Confident learning (C. Northcutt, L. Jiang & I. Chuang, JAIR 70, 2021, section 3): a label is
suspected where another class is as likely, while the label is held back, as it usually is for
examples that are labelled so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Row


def suspects(
    shares: NDArray, truth: NDArray[np.intp], classes: Sequence[str], ids: Sequence[str]
) -> list[Row]:
    """``id``, ``label``, what it is ``rather``, and ``doubt``: how much likelier that is, 0 to 1.

    Parameters
    ----------
    shares : (n, c)
        Probabilities of held-out examples.
    truth : (n,) int
    """
    own = np.arange(len(truth))
    kinds = shares.shape[1]
    usual = np.array(
        [shares[truth == c, c].mean() if (truth == c).any() else np.inf for c in range(kinds)]
    )
    sure = np.where(shares >= usual, shares, 0.0)
    rather = sure.argmax(1)
    doubt = shares[own, rather] - shares[own, truth]
    found = np.flatnonzero((sure.max(1) > 0) & (rather != truth) & (doubt > 0))
    return [
        {
            "id": str(ids[i]),
            "label": classes[truth[i]],
            "rather": classes[rather[i]],
            "doubt": float(doubt[i]),
        }
        for i in found[np.argsort(-doubt[found], kind="stable")]
    ]
