"""A 2-D map of an embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spread_map(z: NDArray[np.float32], seed: int = 0) -> tuple[NDArray, NDArray]:
    """Two coordinates in [0, 1] per row of (n, k): t-SNE of the leading components.

    Source: van der Maaten & Hinton, *Visualizing Data using t-SNE* (JMLR 2008).
    Distances between clusters mean nothing; neighbours do.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(z) < 5:
        flat = np.linspace(0, 1, len(z))
        return flat, np.full(len(z), 0.5)
    reduced = PCA(min(30, z.shape[1], len(z) - 1), random_state=seed).fit_transform(z)
    nearby = min(30.0, (len(z) - 1) / 3)
    flat = TSNE(2, perplexity=nearby, init="pca", random_state=seed, max_iter=500).fit_transform(
        reduced
    )
    low, high = flat.min(0), flat.max(0)
    scaled = (flat - low) / np.maximum(high - low, 1e-9)
    return scaled[:, 0], scaled[:, 1]
