"""The head that labels call for, by how many there are: chosen, and fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import PROPAGATED, Candidate, Chosen, chosen_head
from stepwell.adapt.head import Features
from stepwell.features import EMBEDDING, FEATURES, LIGHT, WORDS
from stepwell.kit.sampling import evenly
from stepwell.run import Run

FEW = Candidate((EMBEDDING,), PROPAGATED)
"""What suits up to :data:`SEVERAL` labels a class, of any kind of data."""
CANDIDATES: dict[str, list[Candidate]] = {
    "text": [
        Candidate((FEATURES, WORDS)),
        Candidate((WORDS,)),
        Candidate((FEATURES,)),
        Candidate((EMBEDDING,), "kernel"),
        Candidate((LIGHT, WORDS)),
    ],
    "": [
        Candidate((FEATURES,), "kernel"),
        Candidate((EMBEDDING,), "kernel"),
        Candidate((FEATURES,)),
        Candidate((EMBEDDING,)),
        Candidate((EMBEDDING,), "discriminant"),
    ],
}
"""What a head may read, and how, by kind of data; the first is taken where nothing speaks against
it (docs/labels.md)."""
SEVERAL = 20
"""With more labels a class unlabelled examples add little, and a rule that labels alone are enough
for is tried first."""
CHOSEN_FROM = 100
"""Labels from which on they decide between rules."""
POOL = 5000
"""Examples without labels that labels are propagated among, at most."""


def fitted_head(
    features: Features,
    told: Sequence[str],
    groups: Sequence[str],
    pool: NDArray[np.float32],
    seed: int = 0,
    rule: str | None = None,
) -> Chosen:
    """The head for labelled examples, of their features, see :func:`~.features.features_of`, and of
    the embeddings of some without a label; by a ``rule`` that was asked for, where there is one."""
    if rule is not None:
        asked = [Candidate((reads,), rule) for reads in (EMBEDDING, FEATURES)]
        asked = [FEW] if rule == PROPAGATED else asked
        return chosen_head(features, told, groups, asked, pool=pool, seed=seed)
    candidates = candidates_for("text" if WORDS in features else "", told, len(pool))
    return chosen_head(features, told, groups, candidates, pool=pool, seed=seed)


def candidates_for(kind: str, told: Sequence[str], others: int) -> list[Candidate]:
    """The first is what suits so many labels a class, on training examples of seven data sets. Too
    few to judge by leave no choice: what they preferred by chance cost up to 20 points."""
    if len(told) < CHOSEN_FROM and others > len(told):
        return [FEW]
    many = np.median(np.unique(told, return_counts=True)[1]) > SEVERAL
    return [*CANDIDATES[kind], FEW] if many else [FEW, *CANDIDATES[kind]]


def unlabelled(run: Run, labelled: set[str]) -> NDArray[np.float32]:
    """Embeddings of some examples it learned from that have no label."""
    ids, embeddings = run.index
    rows = np.flatnonzero([str(i) not in labelled for i in ids])
    found = embeddings[evenly(rows, POOL)].astype(np.float32)
    return found[found.any(1)]
