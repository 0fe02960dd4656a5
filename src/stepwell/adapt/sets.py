"""Sets of labels that hold the right one as often as promised: conformal prediction.

V. Vovk, A. Gammerman & G. Shafer, 2005; least ambiguous sets: M. Sadinle, J. Lei & L. Wasserman,
JASA 2019. The promise is for examples that are drawn like the labelled ones, on average over them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.head import Held
from stepwell.interfaces import UsageError

COVERAGE = 0.9
"""What is promised where nothing else is asked for."""
ROUNDING = 1e-8
"""A probability that is the least one but for rounding is in."""


def fewest(coverage: float) -> int:
    """Labels that have to be held back for a promise."""
    return int(np.ceil(1 / min(coverage, 1 - coverage))) + 1


def check_coverage(coverage: float) -> None:
    """Raise for a promise that makes no sense.

    Raises
    ------
    UsageError
    """
    if not 0.5 <= coverage <= 0.999:
        raise UsageError(f"Expected a coverage from .5 to .999, found {coverage}.")


class Sets:
    """Which classes an example may be of.

    Parameters
    ----------
    held : Held
        What was said of labelled examples while their labels were held back.
    coverage : float
        Share of examples whose set holds the right label.

    Raises
    ------
    UsageError
        If there are too few of them for such a promise.
    """

    def __init__(self, held: Held, coverage: float = COVERAGE) -> None:
        check_coverage(coverage)
        if len(held.truth) < fewest(coverage):
            raise UsageError(
                f"Expected {fewest(coverage)} held-out labels or more for a promise of "
                f"{coverage:.0%}, found {len(held.truth)}: label more, or promise less."
            )
        shares = _exact(held.shares)
        told = np.sort(shares[np.arange(len(shares)), held.truth])[::-1]
        rank = int(np.ceil((len(told) + 1) * coverage - ROUNDING))
        self._least = float(told[rank - 1]) if rank <= len(told) else 0.0  # of too few: all are in

    def __call__(self, shares: NDArray) -> NDArray[np.bool_]:
        """(n, c) probabilities → which classes are in; none where nothing like it was seen."""
        if not len(shares):
            return np.zeros(np.shape(shares), bool)
        return np.asarray(_exact(shares) >= self._least - ROUNDING)


def usual_sets(held: Held | None) -> Sets | None:
    """Those that promise what is usual; None where too few labels could be held back."""
    enough = held is not None and len(held.truth) >= fewest(COVERAGE)
    return Sets(held) if enough and held is not None else None


def least_sure(held: Held, rate: float) -> float:
    """How probable a label has to be so that, of all such, no more than a share ``rate`` is wrong,
    as far as held-out labels tell; 0 where all of them may be told, above 1 where none.

    One mistake more than were seen is counted, so that few labels promise nothing (selective
    classification: Y. Geifman & R. El-Yaniv, NeurIPS 2017).
    """
    sure = held.shares.max(1).astype(np.float64)
    wrong = held.shares.argmax(1) != held.truth
    order = np.argsort(-sure, kind="stable")
    seen = np.arange(1, len(order) + 1)
    few_enough = (np.cumsum(wrong[order]) + 1) / (seen + 1) <= rate
    last = np.append(sure[order][:-1] != sure[order][1:], True)  # of those that are as sure
    fine = np.flatnonzero(few_enough & last)
    if not len(fine):
        return 2.0
    return 0.0 if fine[-1] == len(order) - 1 else float(sure[order[fine[-1]]])


def _exact(shares: NDArray) -> NDArray[np.float64]:
    """Rows that add up to 1 in double precision."""
    shares = np.asarray(shares, np.float64)
    return np.asarray(shares / shares.sum(1, keepdims=True))
