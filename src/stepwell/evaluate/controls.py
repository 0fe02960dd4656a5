"""What a score has to beat: features that cost nothing to learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Array, Batch

F32 = NDArray[np.float32]
RAW_SIDE = 32
"""Raw images are compared at this many pixels a side: kNN on more is no better."""


def raw_features(batch: Batch) -> F32:
    """(n, d) of the input itself: pixels, values, or hashed letters of a text.

    Images larger than 32 pixels are averaged down first.
    """
    columns = []
    for value in batch.data.values():
        array = np.asarray(value)
        if array.dtype.kind in "US" or _texts(array):
            columns.append(_letters(array))
        elif array.dtype.kind in "fiub":
            columns.append(_small(array).reshape(len(array), -1))
    if not columns:
        return np.zeros((len(batch), 1), np.float32)
    return np.nan_to_num(np.concatenate(columns, axis=1).astype(np.float32))


def _texts(array: Array) -> bool:
    """Whether objects are texts."""
    return array.dtype.kind == "O" and all(isinstance(each, str) for each in array)


def _small(array: Array) -> F32:
    """Average images (n, h, w, c) down to at most 32 pixels a side."""
    if array.ndim != 4 or max(array.shape[1:3]) <= RAW_SIDE:
        return array.astype(np.float32)
    steps = [-(-size // RAW_SIDE) for size in array.shape[1:3]]
    height, width = (
        size // step * step for size, step in zip(array.shape[1:3], steps, strict=True)
    )
    cut = array[:, :height, :width].astype(np.float32)
    n, _, _, channels = cut.shape
    cells = cut.reshape(n, height // steps[0], steps[0], width // steps[1], steps[1], channels)
    return np.asarray(cells.mean((2, 4)))


def _letters(texts: Array) -> F32:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=2048)
    return np.asarray(hashed.transform([str(t) for t in texts]).toarray(), np.float32)


class Components:
    """Principal components of features, the classical control; fitted without labels.

    Parameters
    ----------
    features : (n, d)
        What to fit on.
    k : int
        Components, at most min(n, d).
    """

    def __init__(self, features: NDArray, k: int) -> None:
        from sklearn.decomposition import PCA

        k = max(1, min(k, features.shape[1], len(features) - 1))
        self._pca = PCA(k, svd_solver="auto", random_state=0).fit(features)

    def __call__(self, features: NDArray) -> F32:
        """(n, d) → (n, k)."""
        return np.asarray(self._pca.transform(features), np.float32)
