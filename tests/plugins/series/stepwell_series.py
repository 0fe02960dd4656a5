"""A plug-in: series in the rows of a .txt.gz table, seen shifted and scaled."""

import numpy as np

from stepwell.interfaces import Batch, Pairs, concatenate
from stepwell.kit.hashing import digest_rows, keys, uniform


class SeriesTable:
    kind, reads = "series", "a .txt.gz table: a series a row, its label first"

    def __init__(self, path):
        self.path, self.name, self.skipped, self.options = path, path.name[:-7], [], {}
        self._rows = {f"{path.name}#row={i}": row for i, row in enumerate(np.loadtxt(path))}

    @staticmethod
    def accepts(path):
        return path.name.endswith(".txt.gz") and path.is_file()

    def entries(self):
        return ((id, id) for id in self._rows)

    def labels(self):
        return {id: f"{row[0]:g}" for id, row in self._rows.items()}

    def batches(self, size, *, ids=None):
        wanted = np.array([id for id in self._rows if ids is None or id in ids])
        for some in (wanted[i : i + size] for i in range(0, len(wanted), size)):
            values = np.float32([self._rows[id][1:, None] for id in some.tolist()])
            yield Batch(some, {"values": values}, some, digest_rows(v.tobytes() for v in values))


class SeriesTwoViews:
    name, kinds, target = "two_views", frozenset({"series"}), "same"

    def pairs(self, batch, seed, epoch=0):
        values, u = batch.data["values"], uniform(keys(batch.digest, seed, epoch), 2)
        time = np.arange(values.shape[1]) + np.rint((u[:, :1] - 0.5) * 0.1 * values.shape[1])
        seen = np.take_along_axis(values, time[..., None].astype(int) % values.shape[1], axis=1)
        seen = seen * (0.8 + 0.4 * u[:, 1, None, None]).astype(np.float32)
        rows, both = np.arange(len(batch)), concatenate([batch, batch.with_data(values=seen)])
        yield Pairs(both, np.tile(rows, 2), anchor=rows)


class Waves:
    name, kinds, width = "waves", frozenset({"series"}), 64

    def fit(self, founders, *, seed, observe):
        return self

    def embed(self, batch):
        waves = np.fft.rfft(batch.data["values"][..., 0], n=64)[:, 1:]
        return np.hstack([waves.real, waves.imag]).astype(np.float32)

    def state(self):
        return {}, {}

    @classmethod
    def from_state(cls, settings, arrays):
        return cls()
