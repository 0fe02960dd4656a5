"""Which examples of a run to label next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import suggest_rows, unsure_of
from stepwell.heads import own_labels
from stepwell.interfaces import Row, UsageError
from stepwell.kit.sampling import evenly
from stepwell.labels import told
from stepwell.run import Run

POOL = 20_000
"""Examples that are looked at, at most, of those with labels and of those without."""


def suggest(run: Run, count: int = 20, labels: Any = None, *, seed: int = 0) -> list[Row]:
    """Unlabelled examples whose labels would help most, the first first.

    Parameters
    ----------
    count : int
    labels : path or mapping, optional
        Labels there are: a CSV of ``file,label``, or {id: label}. Default: those that the run was
        fine-tuned on.
    seed : int

    Returns
    -------
    list of {"id", "typical", "unsure", "text"}
        ``typical`` relative to the most typical; ``unsure``, how little is known of it, 0 to 1
        (without labels, 1). Texts where they are still there.

    Raises
    ------
    UsageError
        If labels are of nothing that the run learned from, or nothing is left to label.
    """
    if count < 1:
        raise UsageError(f"Expected to suggest 1 example or more, found {count}.")
    ids, embeddings = run.index
    known = known_labels(run, labels)
    names = [str(i) for i in ids]
    has = np.flatnonzero([name in known for name in names])
    free = np.flatnonzero([name not in known for name in names])
    if not len(free):
        raise UsageError(
            f"Expected examples without a label, found none: all {len(ids):,} have one."
        )
    has = evenly(has, POOL)
    rows = np.concatenate([has, evenly(free, POOL)])
    x = np.asarray(embeddings[rows], np.float32)
    labelled = np.arange(len(has))
    unsure = _unsure(x, [known[names[i]] for i in has])
    chosen, typical = suggest_rows(x, count, labelled, unsure, seed)
    texts = run.texts_of({names[rows[i]] for i in chosen})
    return [
        {
            "id": names[rows[i]],
            "typical": float(typical[i] / typical.max()),
            "unsure": 1.0 if unsure is None else float(unsure[i]),
            **({"text": texts[names[rows[i]]]} if names[rows[i]] in texts else {}),
        }
        for i in chosen
    ]


def known_labels(run: Run, labels: Any) -> dict[str, str]:
    """Labels of examples of this run: those that are given, or those it was fine-tuned on."""
    if labels is not None:
        root = run.config["source"].get("path")
        return told([str(i) for i in run.index[0]], labels, root)[0]
    return own_labels(run)


def _unsure(x: NDArray[np.float32], labels: list[str]) -> NDArray[np.float64] | None:
    """Of all rows, the first of which have labels; None with fewer than two classes."""
    classes, truth = np.unique(np.array(labels, dtype=str), return_inverse=True)
    return unsure_of(x[: len(truth)], truth, x[len(truth) :]) if len(classes) > 1 else None
