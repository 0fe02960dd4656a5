"""The label-free choice of ρ and k: how far views stand out from other examples.

A few founders' pairs are taken out of the moments again (exactly: they are sums), modes
are solved without them, and each choice is asked how far the cosine of a view to its own
example lies above its cosines to other examples, in standard deviations of the latter:
the sensitivity d′ of signal detection (Green & Swets 1966).

Of seven label-free scores tried it was the only one that ranked choices as labels do on
every data set (rank correlation with kNN .67 to .96; docs/measurements.md has the table).
It can't see how few labels there will be; α is therefore fixed, at the value that costs
least over all amounts of labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.engines.moments import Law, units_of
from stepwell.engines.quantise import Quantiser
from stepwell.engines.spectral import Choice, SpectralMap, solve
from stepwell.interfaces import Row

RHOS = (0.25, 1.0)
"""Accuracy is flat between them, and falls on both sides."""
TRIED = 128
"""Modes that ρ is judged by: the order of the scores is the same as with 512."""
JUDGES = 600
"""Pairs that judge, at most; and at most a quarter of all there are."""
FEWEST = 40
"""With fewer judges the choice would be noise: the defaults stay."""


def separation(views: NDArray, known: NDArray) -> float:
    """d′ of (n, k) embedded views among (n, k) embedded examples, row by row their own."""
    cosine = views @ known.T
    own = np.diag(cosine)
    others = cosine[~np.eye(len(cosine), dtype=bool)]
    return float((own.mean() - others.mean()) / max(float(others.std()), 1e-9))


def choose(
    law: Law, quantiser: Quantiser, judges: tuple[Any, Any], wanted: Choice
) -> tuple[Choice, list[Row]]:
    """ρ and k for a pair law that has not seen the judges.

    Parameters
    ----------
    law : Law
    quantiser : Quantiser
    judges : two (j, d) int8 arrays
        Codes of examples and of their views.
    wanted : Choice
        Upper limit of k, and α.

    Returns
    -------
    choice : Choice
    rows : list of {"rho", "k", "separation", "used"}
    """
    rows: list[Row] = []
    for rho in RHOS:
        modes = solve(law, replace(wanted, rho=rho, k=min(wanted.k, TRIED)))
        for k in _halves(len(modes.values)):
            tried = SpectralMap.build(quantiser, modes, Choice(k, rho, wanted.alpha))
            score = separation(*(tried.of_codes(part) for part in reversed(judges)))
            rows.append({"rho": rho, "k": k, "separation": score, "used": False})
    best = max(rows, key=lambda row: row["separation"])
    best["used"] = True
    # If the score still rises at the most modes that were tried, there is use for all.
    rising = best["k"] >= max(row["k"] for row in rows)
    return replace(wanted, rho=best["rho"], k=wanted.k if rising else best["k"]), rows


def _halves(k: int) -> list[int]:
    """k, k/2 and k/4, as far as there are that many."""
    return [max(1, k >> step) for step in range(3) if k >> step or step == 0]


def judging(codes: Any, unit: NDArray[np.intp], total: Any) -> tuple[Any, Any, Any] | None:
    """Judges out of kept pairs: their examples, one view of each, and all their moments.

    ``codes`` (m, d) with ``unit`` (m,) are rows of kept units, which are in the moments
    ``total``. None: too few.
    """
    order, start, count = units_of(unit)
    taken = min(JUDGES, total.units // 4, len(start))
    if taken < FEWEST:
        return None
    start, count = start[:taken], count[:taken]
    moments = total.empty()
    rows = np.concatenate([order[s : s + c] for s, c in zip(start, count, strict=True)])
    moments.add(codes[rows], unit[rows])
    return codes[order[start]], codes[order[start + 1]], moments
