"""The patch encoder: several streams of one image, joined into one feature vector φ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Self

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from stepwell.encoders.patches.dictionary import rounded_atoms, unit
from stepwell.encoders.patches.fit import LANES, Size, fit_stream
from stepwell.encoders.patches.fused import Fused, usable
from stepwell.encoders.patches.geometry import F32, cut, fold_grid, resize
from stepwell.encoders.patches.schema import schema_of
from stepwell.encoders.patches.stream import BINS, PATCH, Stream, StreamSpec, densest, stride_of
from stepwell.interfaces import Batch, Elements, Observer, UsageError, ignore
from stepwell.kit.schema import Schema
from stepwell.kit.threads import blocks, cores, in_blocks

PRESETS: dict[str, Size] = {
    "default": Size(atoms=512, modes=128, dense=True),
    "fast": Size(atoms=512, modes=64),
    "large": Size(atoms=2048, modes=128, dense=True),
}
WIDEST = 4608
"""Features at most: moments and their solution grow with the square."""
WIDTH_A_FOUNDER = 3
"""Features at most for each founder: with fewer examples, more can't be told from noise."""
LIGHT = np.float32(3)
"""Of plain light, in units of the average number a stream gives. 0, 1 and 3 are alike in kNN on
CIFAR-10 (69.1, 69.3, 69.2); at 3 a difference in brightness is among the first dimensions."""
_BLOCK = 16  # images a thread encodes at a time


def stream_specs(sides: Sequence[int], colour: bool, dense: bool = False) -> tuple[StreamSpec, ...]:
    """Two streams a scale, in colour and in grey; only grey where there is no colour."""
    specs = []
    for side in sides:
        stride = densest(side) if dense else stride_of(side)
        specs += [StreamSpec(side, True, stride, 0.25)] if colour else []
        specs += [StreamSpec(side, False, stride, 0.30)]
    return tuple(specs)


def has_colour(images: NDArray) -> bool:
    """Whether any of up to 256 images has channels that differ."""
    step = max(1, len(images) // 256)
    some = images[::step]
    return some.shape[-1] > 1 and bool((some != some[..., :1]).any())


class PatchEncoder:
    """Patches → sparse code → modes of co-occurring patches → pooled features φ.

    Parameters
    ----------
    preset : {"default", "fast", "large"}
        ``fast``: 1,024 atoms and 64 modes. ``default``: 128 modes, and patches twice as dense
        (three times the time). ``large``: 4,096 atoms too (eight times). docs/measurements.md
        has what each is worth.
    sides : sequence of int, optional
        Working scales in pixels a side. None: every octave from the canvas down to 12
        pixels; several scales were worth 2 to 3 points on photographs.
    mirror : bool, optional
        Keep only what a left-right flip leaves as it is: half the features, and the flip
        is learned for nothing. Wrong for letters and digits. None: as the views have it,
        chosen or asked for, and True until then.
    device : str, optional
        A torch device ("cpu", "cuda") to encode on. None: numpy and the compiled kernel.
    pairs : {"image", "shuffled", "none"}
        What the modes of a patch are learned from; the last two are controls, see
        :func:`~stepwell.encoders.patches.fit.fit_stream`.
    """

    name: ClassVar[str] = "patches"
    kinds: ClassVar[frozenset[str]] = frozenset({"image"})
    impartial: ClassVar[bool] = True
    noise_spread: ClassVar[float] = 0.5
    """Measured: noise .62 to .67; CIFAR-10 .11, TrashNet .03, clothes .05, chests .08, digits
    .05 (:func:`stepwell.evaluate.structure.spread`)."""

    def __init__(
        self,
        preset: str = "default",
        sides: Sequence[int] | None = None,
        mirror: bool | None = None,
        device: str | None = None,
        pairs: str = "image",
    ) -> None:
        self.pairs = pairs
        self.size, self.preset = PRESETS[preset], preset
        self.sides, self.device = sides, device
        self.mirror = mirror is not False
        self.absorbs = frozenset({"flip"}) if mirror is None else frozenset()
        self.streams: tuple[Stream, ...] = ()
        self.tones = 0  # channels whose plain light is a feature too; older runs have none

    @property
    def width(self) -> int:
        """Columns of :meth:`embed`."""
        full = BINS * BINS * sum(self._modes())
        return full // 2 if self.mirror else full

    def _modes(self) -> list[int]:
        """Numbers at each place: modes of every stream, then the light of every channel."""
        return [*(stream.rows.shape[1] for stream in self.streams), self.tones]

    def fit(self, founders: Batch, *, seed: int = 0, observe: Observer = ignore) -> Self:
        """Fit every stream on the founders' images."""
        images = founders.data["image"]
        sides = tuple(self.sides) if self.sides else default_sides(images.shape[1])
        specs = stream_specs(sides, has_colour(images), self.size.dense)
        size, widest = self.size, min(WIDEST, WIDTH_A_FOUNDER * len(images))
        while len(specs) * BINS * BINS // 2 * size.modes > widest and size.modes > 2 * LANES:
            size = replace(size, modes=size.modes // 2)
        streams = []
        observe("fit", {"done": 0, "of": len(specs)})
        # A stream a core, BLAS on one thread each: many of the matrices are too small to share.
        threads = max(1, cores() // len(specs))

        def fitted(row: slice) -> Stream:
            spec, own = specs[row.start], seed + row.start
            return fit_stream(spec, images, size, own, self.pairs, threads)

        for stream in blocks(fitted, len(specs), 1):
            streams.append(stream)
            observe("fit", {"done": len(streams), "of": len(specs)})
        self.streams, self.sides = tuple(streams), sides
        self.tones = images.shape[-1]
        return self

    def absorbing(self, names: Collection[str]) -> PatchEncoder:
        """The same encoder, exactly blind to a flip if ``names`` has it.

        Without the flip there are twice as many features; the trailing half of the modes
        then goes, where more than :data:`WIDEST` would be left.
        """
        twin = PatchEncoder(self.preset, self.sides, "flip" in names, self.device, self.pairs)
        twin.streams, twin.tones = self.streams, self.tones
        while twin.width > WIDEST and max(s.rows.shape[1] for s in twin.streams) > 2 * LANES:
            twin.streams = tuple(leading_half(stream) for stream in twin.streams)
        return twin

    def randomised(self, seed: int) -> PatchEncoder:
        """The same streams with random atoms and random modes: a control."""
        twin = PatchEncoder(self.preset, self.sides, self.mirror, self.device, self.pairs)
        rng = np.random.default_rng(seed)
        twin.streams = tuple(_random_stream(stream, rng) for stream in self.streams)
        twin.tones = self.tones
        return twin

    def embed(self, batch: Batch) -> Any:
        """(n, width) float32: pooled modes, unit length a stream, and the light at each place."""
        if not len(batch):
            return np.empty((0, self.width), np.float32)
        images = self._in_channels(np.asarray(batch.data["image"]))
        if self.device:
            return self._embed_torch(images)
        paths = [self._path(stream) for stream in self.streams]

        def block(rows: slice) -> F32:
            parts = [
                self._finish(path(stream.spec.view(images[rows])), stream)
                for path, stream in zip(paths, self.streams, strict=True)
            ]
            return np.concatenate(parts, axis=1)

        return self._with_light(np.concatenate(in_blocks(block, len(images), _BLOCK)), images)

    def _with_light(self, features: F32, images: NDArray) -> F32:
        """Patches know no brightness, only what differs within them: add it, on a coarse grid.

        On the scale of a strong mode, so that it neither leads nor is lost.
        """
        if not self.tones:
            return features
        size = self.streams[0].rows.shape[1]
        light = LIGHT * (resize(images, BINS) / 127.5 - 1) / np.float32(BINS * size**0.5)
        kept, lost = fold_grid(light, self.tones)
        parts = [features, kept] if self.mirror else [features, kept, lost]
        return np.concatenate(parts, axis=1)

    def _in_channels(self, images: NDArray) -> NDArray:
        """Images with as many channels as it was fitted on; grey ones serve for any number."""
        colour = [s for s in self.streams if s.spec.colour]
        fitted = len(colour[0].mean) // PATCH**2 if colour else self.tones
        wanted = fitted or images.shape[-1]
        if images.shape[-1] not in (1, wanted):
            raise UsageError(
                f"Expected images of {wanted} channels, as those it was learned from, found "
                f"{images.shape[-1]}: convert them first."
            )
        return images if images.shape[-1] == wanted else np.repeat(images, wanted, axis=-1)

    def elements(self, batch: Batch) -> Elements:
        """Modes of every patch of the first stream, with its place (y, x)."""
        stream = self.streams[0]
        images = self._in_channels(np.asarray(batch.data["image"]))
        codes = np.concatenate(
            in_blocks(lambda r: stream.modes(stream.spec.patches(images[r])), len(images), _BLOCK)
        )
        n, patches, width = codes.shape
        centre = (np.arange(stream.spec.grid) * stream.spec.stride + PATCH / 2) / stream.spec.side
        place = np.stack(np.meshgrid(centre, centre, indexing="ij"), -1).reshape(-1, 2)
        return Elements(
            codes.reshape(n * patches, width),
            np.repeat(np.arange(n), patches),
            np.tile(place, (n, 1)).astype(np.float32),
        )

    def attention(self, direction: NDArray) -> NDArray[np.float64]:
        """(bins, bins): how much of a direction in feature space looks at each place.

        Exact, since an embedding is linear in φ. With ``mirror`` both halves are alike.
        """
        total, start = np.zeros((BINS, BINS)), 0
        for modes in filter(None, self._modes()):
            for _ in range(1 if self.mirror else 2):
                size = BINS * (BINS // 2) * modes
                part = np.square(direction[start : start + size])
                share = part.reshape(BINS, BINS // 2, -1).sum(-1)
                total += np.concatenate([share, share[:, ::-1]], axis=1)
                start += size
        return total / max(total.max(), 1e-30)

    @staticmethod
    def _path(stream: Stream) -> Callable[[F32], F32]:
        """The compiled kernel where it is there, else the plain path."""
        if usable(stream):
            return Fused(stream)
        return lambda x: stream.pooled(cut(x, PATCH, stream.spec.stride))

    def _finish(self, pooled: Any, stream: Stream) -> Any:
        """Unit length a stream, then the half that a flip keeps (or both)."""
        xp = array_namespace(pooled)
        length = xp.sqrt(xp.sum(pooled * pooled, axis=(1, 2, 3), keepdims=True))
        kept, lost = fold_grid(pooled / (length + 1e-12), stream.even)
        return kept if self.mirror else xp.concat([kept, lost], axis=1)

    def _embed_torch(self, images: NDArray) -> Any:
        """The plain path on a torch device; features come back to numpy."""
        import torch

        parts = []
        for stream in self.streams:
            moved = _to_torch(stream, self.device)
            blocks = [
                self._finish(
                    moved.pooled(
                        torch.as_tensor(stream.spec.patches(images[i : i + 256])).to(self.device)
                    ),
                    moved,
                )
                for i in range(0, len(images), 256)
            ]
            parts.append(torch.cat(blocks))
        return self._with_light(torch.cat(parts, dim=1).cpu().numpy(), images)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings and arrays."""
        settings: dict[str, Any] = {
            "preset": self.preset,
            "sides": list(self.sides or ()),
            "mirror": self.mirror,
            "tones": self.tones,
            "streams": [{**asdict(s.spec), "even": s.even} for s in self.streams],
        }
        names = ("mean", "whiten", "atoms", "rows", "offset")
        arrays = {
            f"{i}.{name}": getattr(stream, name)
            for i, stream in enumerate(self.streams)
            for name in names
        }
        return settings, arrays

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        return schema_of(settings)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        encoder = cls(settings["preset"], tuple(settings["sides"]), settings["mirror"])
        streams = []
        for i, facts in enumerate(settings["streams"]):
            spec = StreamSpec(*(facts[k] for k in ("side", "colour", "stride", "threshold")))
            named = {k: arrays[f"{i}.{k}"] for k in ("mean", "whiten", "atoms", "rows", "offset")}
            streams.append(Stream(spec, **named, even=facts["even"]))
        encoder.streams, encoder.tones = tuple(streams), int(settings.get("tones", 0))
        return encoder


def default_sides(canvas: int) -> tuple[int, ...]:
    """Octaves of scale: the canvas (24 pixels at least) and its halves down to 12.

    Of more than four, the largest and the three smallest: moments grow with the square.
    """
    sides = [max(24, canvas)]
    while sides[-1] // 2 >= 12:
        sides.append(sides[-1] // 2)
    return tuple(sides if len(sides) <= 4 else [sides[0], *sides[-3:]])


def leading_half(stream: Stream) -> Stream:
    """The stream with the first half of its even and of its odd modes."""
    even = max(LANES, stream.even // 2 // LANES * LANES)
    odd = max(LANES, stream.rows.shape[1] // 2 - even)
    keep = np.r_[:even, stream.even : stream.even + odd]
    rows = np.ascontiguousarray(stream.rows[:, keep])
    return replace(stream, rows=rows, offset=stream.offset[keep], even=even)


def _random_stream(stream: Stream, rng: np.random.Generator) -> Stream:
    """Random unit atoms in whitened space and random modes; the whitening stays."""
    atoms = rng.standard_normal(stream.atoms.shape).astype(np.float32)
    atoms = rounded_atoms(unit(atoms))
    rows = rng.standard_normal(stream.rows.shape).astype(np.float32)
    rows *= np.linalg.norm(stream.rows) / np.linalg.norm(rows)
    return replace(stream, atoms=atoms, rows=rows, offset=np.zeros_like(stream.offset))


def _to_torch(stream: Stream, device: str | None) -> Stream:
    import torch

    names = ("mean", "whiten", "atoms", "rows", "offset")
    moved = {k: torch.as_tensor(np.asarray(getattr(stream, k))).to(device) for k in names}
    return replace(stream, **moved)
