"""Before the one pass: encoder, views and engine, from founders or from a sibling run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepwell import recording
from stepwell.encoders import ENCODERS
from stepwell.engines import Choice, SpectralEngine
from stepwell.interfaces import (
    Batch,
    Encoder,
    Observer,
    Pretext,
    Solution,
    Source,
    UsageError,
)
from stepwell.kit.plugins import for_kind
from stepwell.pretexts import PRETEXTS
from stepwell.recalibrate import Calibration, calibrate
from stepwell.run import Run

DIMENSIONS = {"default": 1024, "fast": 512}


@dataclass
class Settings:
    """What a run can be told; see :func:`~stepwell.learn`."""

    preset: str = "default"
    pretext: Any = None
    encoder: Any = None
    views: Any = None
    seed: int = 0
    founders_from: Any = None
    recalibrate: bool = True
    share: float = 1.0


@dataclass
class Learned:
    """Everything a run is made of, before it is written down."""

    encoder: Encoder
    pretext: Pretext
    engine: SpectralEngine
    calibration: Calibration
    solution: Solution | None = None

    def encode(self, batch: Batch) -> Any:
        """(n, d) int8 codes."""
        return self.engine.quantiser(self.encoder.embed(batch))


def prepare(
    source: Source, founders: Batch, examples: int, settings: Settings, tell: Observer
) -> Learned:
    """Everything below the moments."""
    mine = set(map(str, founders.ids))
    if settings.founders_from is not None:
        return _from_sibling(settings, mine)
    encoder = _made("encoders", ENCODERS, settings.encoder, source.kind, settings.preset)
    encoder = encoder.fit(founders, seed=settings.seed, observe=tell)
    pretext = _made("pretexts", PRETEXTS, settings.pretext, source.kind, settings.views)
    found = Calibration(encoder, pretext)
    if settings.recalibrate and settings.views is None:
        found = calibrate(encoder, pretext, founders, seed=settings.seed, observe=tell)
    features = found.encoder.embed(founders)
    engine = SpectralEngine.prepared(features, mine, Choice(k=DIMENSIONS[settings.preset]))
    suited: Any = getattr(found.pretext, "suited", None)
    pretext = suited(examples) if suited else found.pretext
    return Learned(found.encoder, pretext, engine, found)


def _from_sibling(settings: Settings, founders: set[str]) -> Learned:
    """The same, and the same choices, so that both runs can be added up."""
    run = settings.founders_from
    run = run if isinstance(run, Run) else Run(run)
    pretext = recording.pretext_of(run.config)
    engine = SpectralEngine(run.map.quantiser, founders, run.map.choice, free=False)
    calibration = Calibration(run.encoder, pretext, run.config.get("views", []))
    return Learned(run.encoder, pretext, engine, calibration)


def _made(room: str, builtin: dict, wanted: Any, kind: str, option: Any) -> Any:
    """A pretext or encoder: the caller's own, by name, or the first for this kind."""
    if wanted is not None and not isinstance(wanted, str):
        return wanted
    found = (
        recording.by_name(room, builtin, wanted, kind) if wanted else for_kind(room, builtin, kind)
    )
    if found is None:
        raise UsageError(
            f"Expected {room} for data of kind {kind!r}, found none: install a plug-in, or "
            f"pass your own."
        )
    own = room == "pretexts" or found in builtin.values()
    return found(option) if option is not None and own and found in builtin.values() else found()
