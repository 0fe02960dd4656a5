"""Who is compared on one protocol: the embedding of a run, and its controls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.evaluate.controls import Components, raw_features
from stepwell.interfaces import Batch, Encoder
from stepwell.run import Run

OURS, ALONE = "stepwell", "features alone"
ROLES = {
    OURS: "ours",
    "whitening only": "ladder",
    ALONE: "ladder",
    "raw input": "control",
    "PCA of the input": "control",
    "random encoder": "control",
    "shuffled pairs": "control",
}
"""Who is compared. The whitening control has the same features and width, but no pairs; features
alone are as they are, from their mean."""
TWIN = "shuffled_encoder"
"""The part that holds a network trained on shuffled pairs."""


class Contestants:
    """The embedding of a run and its controls, as functions of a batch."""

    def __init__(self, run: Run, seed: int) -> None:
        self._encoder = run.encoder
        self._maps = {
            OURS: run.map,
            "whitening only": run.part("whitening"),
            "shuffled pairs": run.part("shuffled"),
        }
        self._random = random_encoder(run.encoder, seed)
        self._twin = run.part(TWIN) if run.has(TWIN) else None
        self._mean = np.asarray(run.map.quantiser.mean, np.float32)
        self.roles = dict(ROLES)
        if run.config.get("train") and self._twin is None:  # no pairs but its own: no control
            self.roles.pop("shuffled pairs")
        self.width = run.map.width

    def __call__(self, batch: Batch) -> dict[str, NDArray]:
        """(n, ·) features by name; the PCA is added by :func:`with_components`."""
        return self.of(batch, self._encoder.embed(batch))

    def of(self, batch: Batch, features: Any) -> dict[str, NDArray]:
        """The same, where the encoder's features are there already."""
        found = {name: np.asarray(each(features)) for name, each in self._maps.items()}
        found["raw input"] = raw_features(batch)
        found["random encoder"] = np.asarray(self._random(batch, features), np.float32)
        found[ALONE] = np.asarray(features, np.float32) - self._mean
        if self._twin is not None:  # the map of shuffled pairs is of its features
            shuffled = self._maps["shuffled pairs"](self._twin.embed(batch))
            found["shuffled pairs"] = np.asarray(shuffled)
        return {name: rows for name, rows in found.items() if name in self.roles}


def random_encoder(encoder: Encoder, seed: int) -> Any:
    """The encoder with random weights; one without weights gets a random projection."""
    if hasattr(encoder, "randomised"):
        twin = encoder.randomised(seed + 101)
        return lambda batch, features: twin.embed(batch)
    rng = np.random.default_rng(seed + 101)
    turn = rng.standard_normal((encoder.width, min(encoder.width, 512))).astype(np.float32)
    return lambda batch, features: np.asarray(features) @ turn


def with_components(
    bank: dict[str, NDArray], queries: dict[str, NDArray], width: int
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Add principal components of the raw input, of the same width, fitted on the bank."""
    raw = bank["raw input"]
    step = max(1, len(raw) // 10_000)
    fitted = Components(raw[::step].astype(np.float32), width)
    name = "PCA of the input"
    return bank | {name: fitted(bank["raw input"])}, queries | {name: fitted(queries["raw input"])}
