"""What a dimension sees, in words: for every kind of data, from arrays alone.

Given are the values of a dimension for some examples; how they change under views; simple
statistics by name; maybe labels. Where in the example it looks, an encoder that is linear
in its features says exactly (``attention``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

F64 = NDArray[np.float64]
CLEAR = 0.4
"""Correlation from which a statistic is named, at least."""
KEEPS, FLIPS = 0.9, -0.5
"""Correlations with itself under a view from which it is called blind to it, or turned by it."""
BINS = 8
"""Values of a dimension are told apart this finely where labels are asked about it."""
SHUFFLES = 100
"""Times that labels are shuffled to see what chance tells."""


@dataclass(frozen=True)
class Explanation:
    """What one dimension sees.

    Attributes
    ----------
    index : int
        From 0.
    name : str
        The statistic it goes with most, or empty.
    r : float
        Their correlation; negative: less of it at the high end.
    keeps, flips : tuple of str
        Views under which it stays, or changes its sign.
    told : str
        What the encoder itself says it tells apart; goes before the statistic.
    """

    index: int
    name: str = ""
    r: float = 0.0
    keeps: tuple[str, ...] = ()
    flips: tuple[str, ...] = ()
    told: str = ""

    @property
    def words(self) -> str:
        """``≈ vertical edges in the lower half (r = .81)``, or nothing."""
        if self.told or not self.name:
            return self.told
        return f"≈ {_towards(self.name, self.r)} (r = {abs(self.r):.2f})".replace("= 0.", "= .")


def _towards(name: str, r: float) -> str:
    """What there is more of at the high end: ``warm rather than cold``, or the other way."""
    if r > 0:
        return name
    topic, colon, rest = name.rpartition(": ")
    first, rather, second = rest.partition(" rather than ")
    return f"{topic}{colon}{second}{rather}{first}" if rather else f"less {name}"


def explain(
    z: F64, statistics: Mapping[str, NDArray], changed: Mapping[str, F64]
) -> list[Explanation]:
    """One explanation per dimension.

    Parameters
    ----------
    z : (n, k)
        Values of the dimensions for some examples, drawn at random.
    statistics : mapping of name to (n,)
    changed : mapping of view to (n, k)
        Values after the view.
    """
    z = np.asarray(z, np.float64)
    names = [name for name, values in statistics.items() if np.isfinite(values).all()]
    table = np.array([statistics[name] for name in names], float).reshape(len(names), len(z))
    known = correlations(table.T, z) if names else np.zeros((0, z.shape[1]))
    spreads, bar = table.std(1), _clear(len(z), len(names) * z.shape[1])
    same = {view: _with_itself(z, np.asarray(after, float)) for view, after in changed.items()}
    found = []
    for mode in range(z.shape[1]):
        best = _best(names, known[:, mode], spreads, bar)
        clear = best >= 0
        found.append(
            Explanation(
                mode,
                names[best] if clear else "",
                float(known[best, mode]) if clear else 0.0,
                tuple(view for view, r in same.items() if r[mode] >= KEEPS),
                tuple(view for view, r in same.items() if r[mode] <= FLIPS),
            )
        )
    return found


def _clear(examples: int, tries: int) -> float:
    """Correlation from which a statistic is named: clear, and more than so many tries on so few
    examples give by chance in one case of a hundred."""
    chance = -float(ndtri(0.005 / max(tries, 1))) / max(examples, 1) ** 0.5
    return max(CLEAR, chance)


def _best(names: Sequence[str], r: F64, spreads: F64, bar: float) -> int:
    """The statistic that goes with a dimension most; -1 where none does clearly.

    Among those of one topic (``hue: …``), which have one unit, the one that varies most with
    it: correlation alone would favour the hue that varies least otherwise.
    """
    clear = [i for i in range(len(names)) if abs(r[i]) >= bar]
    if not clear:
        return -1
    best = max(clear, key=lambda i: abs(r[i]))
    topic = names[best].rpartition(": ")[0]
    rivals = [i for i in clear if names[i].rpartition(": ")[0] == topic]
    return max(rivals, key=lambda i: abs(r[i]) * spreads[i]) if topic else best


def correlations(a: F64, b: F64) -> F64:
    """Pearson's r of every column of a (n, p) with every one of b (n, q), (p, q).

    What does not vary goes with nothing: 0.
    """
    a, b = (_standardised(np.asarray(side, np.float64)) for side in (a, b))
    return np.asarray(a.T @ b / max(len(a), 1))


def _with_itself(before: F64, after: F64) -> F64:
    """(k,) r of each column before with itself after."""
    return np.asarray((_standardised(before) * _standardised(after)).mean(0))


def _standardised(columns: F64) -> F64:
    columns = columns - columns.mean(0)
    spread = columns.std(0)
    some = spread > 1e-9 * max(float(spread.max(initial=0)), 1e-300)
    return np.asarray(np.where(some, columns / np.where(some, spread, 1), 0))


def information(z: F64, labels: Sequence[str]) -> F64:
    """(k,) mutual information of each dimension with the label, in bits, beyond chance.

    Values are cut into :data:`BINS` bins of about equal count. What shuffled labels tell on
    average is taken off; a dimension that tells no more than each of :data:`SHUFFLES`
    shuffled ones tells nothing.
    """
    z = np.asarray(z, np.float64)
    _, target = np.unique(np.asarray(labels, str), return_inverse=True)
    classes = np.eye(int(target.max(initial=0)) + 1)
    binned = np.stack([_binned(column) for column in z.T])
    told, rng = _bits(binned, classes[target]), np.random.default_rng(0)
    chance = np.stack([_bits(binned, classes[rng.permutation(target)]) for _ in range(SHUFFLES)])
    return np.asarray(np.where(told > chance.max(0), told - chance.mean(0), 0.0))


def _binned(column: F64) -> F64:
    """(n, bins) which bin each value lies in; equal values share one, whatever their order."""
    edges = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.asarray(np.eye(BINS)[np.searchsorted(edges, column, "right")])


def _bits(binned: F64, classes: F64) -> F64:
    """(k,) from (k, n, bins) and (n, classes)."""
    joint = np.einsum("knb,nc->kbc", binned, classes, optimize=True) / len(classes)
    alone = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    share = np.divide(joint, alone, out=np.ones_like(joint), where=joint > 0)
    return np.asarray((joint * np.log2(share)).sum((1, 2)))
