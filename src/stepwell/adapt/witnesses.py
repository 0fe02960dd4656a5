"""Labelled examples that are kept to find out how sure a head made of sums may be.

Sums alone do not tell: an example is judged by the sums without it, which are exact, and for that
it has to be there. Which ones are kept follows from their content only, so that they are the same
in whatever order labels came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.calibrate import F64, heat_of, shares
from stepwell.adapt.head import Held
from stepwell.adapt.sums import LabelSums, discriminants

MOST = 500
FOLDS = 5


class Witnesses:
    """Of labelled examples, those :data:`MOST` with the lowest hashes; ``+`` is exact.

    Attributes
    ----------
    features : (n, d) float32
    labels : (n,) str
    hashes, groups : (n,) uint64
        Of contents, and of what belongs together: no group is judged by itself.
    """

    name: ClassVar[str] = "witnesses"

    def __init__(self, features: Any, labels: Any, hashes: Any, groups: Any) -> None:
        some = np.argsort(np.asarray(hashes), kind="stable")[:MOST]
        self.features = np.asarray(features, np.float32)[some]
        self.labels = np.asarray(labels, dtype=str)[some]
        self.hashes, self.groups = np.asarray(hashes)[some], np.asarray(groups)[some]

    def __add__(self, other: Self) -> Self:
        mine, theirs = vars(self), vars(other)
        return type(self)(**{name: np.concatenate([mine[name], theirs[name]]) for name in mine})

    def judged(self, sums: LabelSums, shrink: float) -> tuple[float, Held | None]:
        """Heat of the discriminants of ``sums``, and what is said of witnesses that are taken out
        of these; 1 and None where that would leave some class without any."""
        place = {name: c for c, name in enumerate(sums.classes)}
        truth = np.array([place[label] for label in self.labels], np.intp)
        scores, told = list[F64](), list[NDArray[np.intp]]()
        for fold in range(FOLDS):
            asked = np.flatnonzero(self.groups % np.uint64(FOLDS) == fold)
            rest = sums - LabelSums.of(self.features[asked], self.labels[asked].tolist())
            if len(asked) and rest.classes == sums.classes:
                weight, bias = discriminants(rest, shrink)
                scores.append(self.features[asked] @ weight.T + bias)
                told.append(truth[asked])
        if not scores:
            return 1.0, None
        whole, right = np.concatenate(scores), np.concatenate(told)
        heat = heat_of(whole, right)
        return heat, Held(shares(whole / heat).astype(np.float32), right)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Labels, and arrays."""
        arrays = {"features": self.features, "hashes": self.hashes, "groups": self.groups}
        return {"labels": self.labels.tolist()}, arrays

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        labels: Sequence[str] = settings["labels"]
        return cls(arrays["features"], labels, arrays["hashes"], arrays["groups"])
