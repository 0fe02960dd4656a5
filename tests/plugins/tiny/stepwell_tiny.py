"""A plug-in: images averaged down to 6×6 cells. It makes whole runs cheap to test."""

import numpy as np

from stepwell.views import View


class Thumbnails:
    name, kinds, width = "thumbnails", frozenset({"image"}), 36

    def fit(self, founders, *, seed, observe):
        return self

    def embed(self, batch):
        grey = np.asarray(batch.data["image"], np.float32).mean(3)
        step = grey.shape[1] / 6
        edges = [int(i * step) for i in range(6)]
        cells = np.add.reduceat(np.add.reduceat(grey, edges, axis=1), edges, axis=2)
        return (cells / step**2).reshape(len(batch), self.width)

    def state(self):
        return {}, {"cells": np.array([6])}

    @classmethod
    def from_state(cls, settings, arrays):
        return cls()


class Negative(View):
    """Light for dark, where the first number says so."""

    name, slots, default, summary = "negative", 1, 0.5, "light for dark, in a share of images"

    def apply(self, images, u, key):
        turned = u[:, 0] < self.strength
        return np.where(turned[:, None, None, None], 255 - images, images).astype(np.float32)
