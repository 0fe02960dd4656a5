"""A head: what it reads, how it scores classes, and what it said of labels that were held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.calibrate import shares
from stepwell.adapt.rules import Scorer
from stepwell.interfaces import StepwellError
from stepwell.kit.schema import Schema, Table, number, several, word

Features = Mapping[str, Any]
"""(n, ·) matrices by name, dense or sparse, row by row the same examples."""
HELD = 5000
"""Held-out examples that a head keeps what it said of, at most."""


@dataclass(frozen=True, eq=False)
class Held:
    """What was said of labelled examples while their labels were held back.

    Attributes
    ----------
    shares : (n, c) float32
        Probabilities.
    truth : (n,) int
    """

    shares: NDArray[np.float32]
    truth: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Head:
    """Scores of classes, made of some features of examples.

    Attributes
    ----------
    reads : tuple of str
        Names of the features, in the order of their columns.
    how : str
        A name in :data:`~stepwell.adapt.rules.RULES`, or ``"propagated"``.
    classes : tuple of str
    scorer : Scorer
    heat : float
        What scores are divided by before softmax makes probabilities of them.
    held : Held, optional
        None where labels are too few to hold any back.
    """

    reads: tuple[str, ...]
    how: str
    classes: tuple[str, ...]
    scorer: Scorer
    heat: float = 1.0
    held: Held | None = None

    name: ClassVar[str] = "head"

    def __call__(self, features: Features) -> NDArray[np.float64]:
        """(n, c) probabilities."""
        return shares(self.scores(features) / self.heat)

    def scores(self, features: Features) -> NDArray[np.float64]:
        """(n, c), before they are made probabilities.

        Raises
        ------
        StepwellError
            Where it reads other features than there are.
        """
        missing = [name for name in self.reads if name not in features]
        x = None if missing else beside(features, self.reads)
        takes = (self.scorer.weight if self.scorer.anchors is None else self.scorer.anchors).shape
        if x is None or x.shape[1] != takes[1]:
            found = f"no {missing[0][:80]!r}" if x is None else f"{x.shape[1]}"
            raise StepwellError(
                f"Expected a head that fits its run, found one that reads {takes[1]} numbers, and "
                f"{found} of them: the run is damaged, or was changed; finetune it again."
            )
        return self.scorer(x)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Names, and weights."""
        names = {"reads": list(self.reads), "classes": list(self.classes), "heat": self.heat}
        arrays: dict[str, Any] = {"weight": self.scorer.weight, "bias": self.scorer.bias}
        if self.scorer.anchors is not None:
            arrays["anchors"] = self.scorer.anchors
        if self.held is not None:
            arrays |= {"held": self.held.shares, "truth": self.held.truth}
        return names | {"how": self.how}, arrays

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        classes = settings.get("classes")
        count = len(classes) if isinstance(classes, list) else -1
        arrays = {
            "weight": Table("f", ("classes", "columns"), -1e30, 1e30),
            "bias": Table("f", ("classes",), -1e30, 1e30),
            "anchors": Table("f", ("columns", "features"), -1e15, 1e15, optional=True),
            "held": Table("f", ("n", "classes"), 0, 1 + 1e-3, optional=True),
            "truth": Table("iu", ("n",), 0, count - 1, optional=True),
        }
        rules = {
            "reads": several(word(), 16, 1),
            "classes": several(word(), least=1),
            "heat": number(1e-30),
        }
        return Schema(rules, arrays, {"classes": count}, also=_once)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        reads, classes = (tuple(settings[name]) for name in ("reads", "classes"))
        known = {name: np.array(value) for name, value in arrays.items()}
        scorer = Scorer(known["weight"], known["bias"], known.get("anchors"))
        held = Held(known["held"], known["truth"]) if "held" in known else None
        how = str(settings.get("how", "logistic"))
        return cls(reads, how, classes, scorer, float(settings["heat"]), held)


def _once(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Each class once; held-out labels with what was said of them."""
    if len(set(settings["classes"])) != len(settings["classes"]):
        raise ValueError("classes that come twice")
    if ("held" in arrays) != ("truth" in arrays) or not len(arrays.get("truth", [0])):
        raise ValueError("what was said of labels, without the labels")
    if "held" in arrays and np.any(np.abs(arrays["held"].sum(1, dtype=float) - 1) > 1e-2):
        raise ValueError("probabilities that are no whole")


def beside(features: Features, reads: Sequence[str]) -> Any:
    """(n, ·) of several features, sparse where one of them is."""
    from scipy import sparse

    parts = [features[name] for name in reads]
    if any(sparse.issparse(part) for part in parts):
        return sparse.hstack([sparse.csr_matrix(part) for part in parts]).tocsr()
    return np.concatenate([np.asarray(part, np.float64) for part in parts], 1)
