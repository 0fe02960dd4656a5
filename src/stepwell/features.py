"""All that a head may read of examples."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from stepwell.adapt import Terms
from stepwell.interfaces import Batch, StepwellError
from stepwell.kit.nearest import unit
from stepwell.kit.sampling import evenly
from stepwell.run import Run
from stepwell.runfile import computed

EMBEDDING, FEATURES, WORDS, ADAPTED = "embedding", "features", "words", "adapted"
LIGHT = "features, lightly"
"""A third as long: beside words that many labels tell of."""
UNLABELLED, SIGNS = 5000, 2000
"""Texts that terms are weighted by, from the first to the last, and signs of each, at most."""


def features_of(run: Run, batch: Batch, terms: Terms | None, adapted: Any = None) -> dict[str, Any]:
    """(n, ·) each, of length 1; 0 where an encoder finds nothing in one that it knows, so that
    nothing speaks for any label. Features of ``adapted``, a fine-tuned network, are as they are."""
    return made_of(np.asarray(run.features(batch), np.float32), run, batch, terms, adapted)


def made_of(
    features: Any, run: Run, batch: Batch, terms: Terms | None, adapted: Any = None
) -> dict[str, Any]:
    """The same, from what the run's encoder finds in them."""
    centred = features - np.asarray(run.map.quantiser.mean, np.float32)
    found = readable(features.any(1), np.asarray(run.map(features), np.float32), centred)
    if adapted is not None:
        with computed(run.path):
            found[ADAPTED] = np.asarray(adapted.embed(batch), np.float32)
    return found | ({WORDS: terms(texts_of(batch))} if terms is not None else {})


def readable(known: Any, embedding: Any, centred: Any) -> dict[str, Any]:
    """What a head may read of embeddings and features from their mean: of length 1, or 0 where
    nothing is ``known``, (n,) bool."""
    known = np.asarray(known, np.float32)[:, None]
    found = {EMBEDDING: unit(known * embedding), FEATURES: unit(known * centred)}
    return found | {LIGHT: found[FEATURES] / 3}


def terms_of(run: Run, labelled: Sequence[str]) -> Terms:
    """Terms of what the run learned from, where that is still there, and of labelled texts: a few
    labelled ones alone do not tell which words are rare."""
    texts, ids = list(labelled), run.index[0]
    some = set(evenly(ids, UNLABELLED).tolist())
    with suppress(StepwellError, OSError):
        for batch in run.own_source().batches(run.chunk, ids=some):
            texts += [text[:SIGNS] for text in texts_of(batch)]
    return Terms().fit(texts)


def texts_of(batch: Batch) -> list[str]:
    """Of a batch of texts."""
    return [str(text) for text in batch.data["text"]]
