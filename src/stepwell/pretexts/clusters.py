"""``clusters``: the cluster an example was put in, renewed as learning goes on.

M. Caron, P. Bojanowski, A. Joulin & M. Douze, ECCV 2018 (arXiv 1807.05520).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, Pairs, Seen, UsageError
from stepwell.pretexts.base import OnImages, refuse_pairs

AN_EXAMPLE, FEWEST, MOST = 100, 10, 1000
"""Examples a cluster, and clusters at least and at most."""
WHITENED = 64
"""Dimensions that features are whitened in before they are clustered."""


class Clusters(OnImages):
    """Tell the cluster of an example from a view of it.

    Before each epoch all examples are clustered by what the network says of them then. New
    clusters take the numbers of the old ones that they share most examples with, so that a
    classifier need not begin anew.

    Parameters
    ----------
    recipe : str or sequence of str
        Views that images are changed by.
    count : int, optional
        Clusters; None: one for 100 examples, 10 to 1,000.
    """

    name: ClassVar[str] = "clusters"
    target: ClassVar[Literal["same", "other"]] = "other"
    gives: ClassVar[frozenset[str]] = frozenset({"classes"})
    objective: ClassVar[str] = "cross_entropy"

    def __init__(
        self, recipe: str | Sequence[str] = ("flip", "zoom"), count: int | None = None
    ) -> None:
        super().__init__(recipe)
        self.count = count
        self._known: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._label: NDArray[np.intp] = np.empty(0, np.intp)

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again."""
        return {**super().options, "count": self.count}

    def suited(self, examples: int) -> Clusters:
        """With as many clusters as so many examples have, where no number was asked for."""
        if self.count is not None:
            return self
        return Clusters(self.recipe, min(MOST, max(FEWEST, examples // AN_EXAMPLE)))

    @property
    def classes(self) -> Mapping[str, tuple[int, int]]:
        """One of so many."""
        return {"cluster": (1, self.count or FEWEST)}

    def renew(self, digest: NDArray[np.uint64], features: NDArray, seed: int) -> None:
        """Cluster examples, (n, 2) digests, by (n, d) features."""
        order = np.argsort(digest[:, 0], kind="stable")
        found = clustered(features, min(self.count or FEWEST, len(features)), seed)[order]
        known = digest[order, 0]
        if np.array_equal(known, self._known):
            found = renumbered(found, self._label, self.count or FEWEST)
        self._known, self._label = known, found

    def seen(self, batch: Batch, seed: int, epoch: int = 0, views: int = 1) -> Seen:
        """One view of each example, and its cluster."""
        if not len(self._known):
            raise UsageError("Expected clusters, found none: call renew first.")
        label = self._label[np.searchsorted(self._known, batch.digest[:, 0])]
        return Seen([self.changed(batch, seed, epoch).data["image"]], {"cluster": label})

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """None: see the error."""
        raise refuse_pairs(self.name)

    def state(self) -> dict[str, Any]:
        """Clusters as they are now: with them a training goes on."""
        return {"known": self._known.view(np.int64), "label": self._label.astype(np.int64)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._known = np.asarray(state["known"]).view(np.uint64)
        self._label = np.asarray(state["label"]).astype(np.intp)


def clustered(features: NDArray, count: int, seed: int) -> NDArray[np.intp]:
    """(n,) numbers of k-means clusters of whitened, normalised features."""
    seed %= 2**32  # all that scikit-learn takes
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import PCA

    width = min(WHITENED, *features.shape)
    z = PCA(width, whiten=True, random_state=seed).fit_transform(features)
    z /= np.linalg.norm(z, axis=1, keepdims=True) + 1e-12
    means = MiniBatchKMeans(count, batch_size=4096, n_init=1, max_iter=20, random_state=seed)
    label: NDArray[np.intp] = means.fit_predict(z).astype(np.intp)
    return label


def renumbered(label: NDArray[np.intp], before: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Clusters by the numbers of those before that they share most examples with, in all."""
    from scipy.optimize import linear_sum_assignment

    shared = np.zeros((count, count), np.intp)
    np.add.at(shared, (label, before), 1)
    new = np.empty(count, np.intp)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    new[rows] = columns
    return new[label]
