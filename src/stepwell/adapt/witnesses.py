"""Labelled examples that are kept to find out how sure a head made of sums may be.

Sums alone do not tell: an example is judged by the sums without it, which are exact, and for that
it has to be there. Which ones are kept follows from their groups and their content only: they are
the same in whatever order labels came, and what belongs together is there together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.calibrate import F64, heat_of, shares
from stepwell.adapt.choose import held_of
from stepwell.adapt.head import Held
from stepwell.adapt.rules import Scorer
from stepwell.adapt.sums import LabelSums, discriminants
from stepwell.interfaces import StepwellError
from stepwell.kit.schema import Schema, Table, several, word

MOST = 500
FOLDS = 5


class Witnesses:
    """Of labelled examples, :data:`MOST` of the groups with the lowest hashes; ``+`` is exact.

    Attributes
    ----------
    features : (n, d) float32
    labels : (n,) str
    hashes, groups : (n,) uint64
        Of contents, and of what belongs together, which is judged together.
    """

    name: ClassVar[str] = "witnesses"

    def __init__(self, features: Any, labels: Any, hashes: Any, groups: Any) -> None:
        some = np.lexsort((hashes, groups))[:MOST]
        self.features = np.asarray(features, np.float32)[some]
        self.labels = np.asarray(labels, dtype=str)[some]
        self.hashes, self.groups = np.asarray(hashes)[some], np.asarray(groups)[some]

    @property
    def takes(self) -> int:
        """Features of an example."""
        return self.features.shape[1]

    def __add__(self, other: Self) -> Self:
        mine, theirs = vars(self), vars(other)
        return type(self)(**{name: np.concatenate([mine[name], theirs[name]]) for name in mine})

    def judged(self, sums: LabelSums, shrink: float) -> tuple[float, Held | None]:
        """Heat of the discriminants of ``sums``, and what is said of witnesses that are taken out
        of these. The last of a class is never taken out; where that leaves none, heat is a guess
        from what is said of them as they are, and there is nothing else."""
        place = {name: c for c, name in enumerate(sums.classes)}
        if not place.keys() >= set(self.labels.tolist()):
            raise StepwellError(
                "Expected witnesses of the classes that there are labels of, found others: the run "
                "is damaged, or was changed; finetune it again."
            )
        truth = np.array([place[label] for label in self.labels], np.intp)
        scores, told = list[F64](), list[NDArray[np.intp]]()
        for fold in range(FOLDS):
            asked = np.flatnonzero(self.groups % np.uint64(FOLDS) == fold)
            left = sums.counts - np.bincount(truth[asked], minlength=len(place))
            asked = asked[left[truth[asked]] > 0]
            if len(asked):
                rest = sums - LabelSums.of(self.features[asked], self.labels[asked].tolist())
                scores.append(Scorer(*discriminants(rest, shrink))(self.features[asked]))
                told.append(asked)
        if not scores:
            return heat_of(Scorer(*discriminants(sums, shrink))(self.features), truth), None
        whole, judged = np.concatenate(scores), np.concatenate(told)
        heat = heat_of(whole, truth[judged])
        return heat, held_of(shares(whole / heat), truth[judged], np.delete(truth, judged), 0)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Labels, and arrays."""
        arrays = {"features": self.features, "hashes": self.hashes, "groups": self.groups}
        return {"labels": self.labels.tolist()}, arrays

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        labels = settings.get("labels")
        arrays = {
            "features": Table("f", ("n", "d"), -2, 2),
            "hashes": Table("u", ("n",)),
            "groups": Table("u", ("n",)),
        }
        count = len(labels) if isinstance(labels, list) else -1
        return Schema({"labels": several(word())}, arrays, {"n": count})

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        labels: Sequence[str] = settings["labels"]
        return cls(arrays["features"], labels, arrays["hashes"], arrays["groups"])
