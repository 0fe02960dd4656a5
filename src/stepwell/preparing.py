"""Before the one pass: encoder, views and engine, from founders or from a sibling run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

from stepwell import recording
from stepwell.encoders import (
    ENCODERS,
    NetworkEncoder,
    PatchEncoder,
    PretrainedEncoder,
    TransformerEncoder,
)
from stepwell.encoders.transformer.encoder import STYLES
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
from stepwell.pretexts import PRETEXTS, suited
from stepwell.recalibrate import Calibration, as_asked, calibrate
from stepwell.run import Run
from stepwell.settings import DIMENSIONS, Settings, class_of
from stepwell.wishing import check_fits

BACKBONE = "resnet18"


@dataclass
class Learned:
    """Everything a run is made of, before it is written down."""

    encoder: Encoder
    pretext: Pretext
    engine: SpectralEngine
    calibration: Calibration
    solution: Solution | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    """How the encoder was trained, where it was."""
    twin: Encoder | None = None
    """The same trained on shuffled pairs: a control."""

    def suit(self, examples: int) -> None:
        """Set the pretext for so many examples, where it can be."""
        self.pretext = suited(self.pretext, examples)

    def control_by_twin(self, founders: Batch, seed: int) -> None:
        """The control on shuffled pairs, all the way: of the twin's features, by the same
        closed form with the same choices."""
        if self.twin is None or self.solution is None:
            return
        names = [str(i) for i in founders.ids]
        features = self.twin.embed(founders)
        engine = SpectralEngine.prepared(features, names, self.engine.choice)
        for _ in engine.learn([founders], suited(self.pretext, len(founders)), self.twin, seed):
            pass
        controls = {**self.solution.controls, "shuffled": engine.shuffled()}
        self.solution = replace(self.solution, controls=controls)

    @property
    def width(self) -> int:
        """Features of an example."""
        return len(self.engine.quantiser.mean)

    @property
    def dimensions(self) -> int:
        """Of the embedding, at most."""
        return self.engine.choice.k

    def encodings(self, examples: int) -> float:
        """How many encodings so many examples and their partners are."""
        return examples * (1 + partners_of(self.pretext, examples))

    def encode(self, batch: Batch) -> Any:
        """(n, d) int8 codes."""
        return self.engine.quantiser(self.encoder.embed(batch))


def partners_of(pretext: Any, examples: int) -> float:
    """Partners an example gets on average, among so many; 1 where a pretext does not say."""
    return float(getattr(suited(pretext, examples), "partners", None) or 1.0)


Trained = tuple[Mapping[str, Any], Encoder | None]
"""How a network was trained, and its twin on shuffled pairs."""


def prepare(
    source: Source,
    founders: Batch,
    settings: Settings,
    tell: Observer,
    train: Callable[[Any, Any, Pretext], Trained] | None = None,
) -> Learned:
    """Everything below the moments; ``train`` is called with an encoder that is to be trained,
    the pretext that it is trained on, and that of the closed form."""
    if settings.founders_from is not None:
        return _from_sibling(settings, set(map(str, founders.ids)))
    found = untrained(source, founders, settings, tell)
    trained: Trained = ({}, None)
    if train is not None:
        trained = train(found.encoder, teaching(source, settings, found.pretext), found.pretext)
    features = found.encoder.embed(founders) if found.features is None else found.features
    names = [str(i) for i in founders.ids]
    wanted = Choice(k=DIMENSIONS[settings.preset])
    engine = SpectralEngine.prepared(features, names, wanted, free=settings.recalibrate)
    found.features = None  # as codes the engine has them
    return Learned(found.encoder, found.pretext, engine, found, None, *trained)


def untrained(source: Source, founders: Batch, settings: Settings, tell: Observer) -> Calibration:
    """The encoder as it is before training, and the views."""
    encoder = _encoder_of(source, settings).fit(founders, seed=settings.seed, observe=tell)
    # Networks can be trained on any pretext; views pair what they have learned in closed form.
    pretext = None if _apart(settings, source.kind) else settings.pretext
    pairs = pretext_for(replace(settings, pretext=pretext), source.kind)
    free = settings.views is None and (pretext is None or isinstance(pretext, str))
    return _calibrated(encoder, pairs, founders, settings, free, tell)


def pretext_for(settings: Settings, kind: str) -> Any:
    """The pretext that was asked for, or the first for a kind of data; of the views asked for."""
    return _made("pretexts", PRETEXTS, settings.pretext, kind, settings.views)


def _apart(settings: Settings, kind: str) -> bool:
    """Whether the network is trained on something else than pairs of views: on a pretext of ours,
    or on one that asks for a class."""
    if not settings.trains or settings.pretext is None:
        return False
    made, usual = class_of(settings, kind), for_kind("pretexts", PRETEXTS, kind)
    return (made in PRETEXTS.values() and made is not usual) or made.target == "other"


def teaching(source: Source, settings: Settings, pairs: Any) -> Any:
    """The pretext a network is trained on: the one asked for, of the same views as ``pairs``.

    Raises
    ------
    UsageError
        For an objective that has no use for it.
    """
    found, asked = pairs, settings.pretext
    if _apart(settings, source.kind):
        recipe = getattr(pairs, "recipe", None) if isinstance(asked, str) else None
        found = _made("pretexts", PRETEXTS, asked, source.kind, recipe)
    check_fits(settings.training.get("objective"), found)
    return found


def _encoder_of(source: Source, settings: Settings) -> Any:
    if settings.backbone is not None and source.kind in PretrainedEncoder.kinds:
        return PretrainedEncoder(settings.backbone, settings.training.get("device"))
    if settings.trains and source.kind in TransformerEncoder.kinds:
        return _transformer(settings, source.kind)
    if settings.trains or settings.backbone is not None:
        name = settings.backbone or BACKBONE
        device = settings.training.get("device")
        return NetworkEncoder(name, settings.weights, device=device, named=False)
    return _made("encoders", ENCODERS, settings.encoder, source.kind, settings.preset)


def _transformer(settings: Settings, kind: str) -> TransformerEncoder:
    """For what the pretext asks; with the vocabulary and the weights of another run, where one is
    to begin from."""
    style, device = getattr(class_of(settings, kind), "style", STYLES[0]), settings.training
    if settings.weights is None:
        return TransformerEncoder(settings.preset, style, device.get("device"))
    begun = Run(settings.weights).encoder
    if type(begun) is not TransformerEncoder or begun.style != style:
        has = getattr(begun, "style", begun.name)
        raise UsageError(
            f"Expected a run to begin from whose transformer was trained for {style}, found "
            f"{settings.weights} with one for {has}: pretexts order and parallel go together, the "
            f"others with themselves."
        )
    return begun.on(device.get("device") or begun.device)


def _calibrated(
    encoder: Any,
    pretext: Any,
    founders: Batch,
    settings: Settings,
    free: bool,
    tell: Observer,
) -> Calibration:
    """The views, chosen or as asked; what was asked for is not chosen again: a recipe, or a
    pretext that is made already."""
    if not (free and settings.recalibrate) or not hasattr(pretext, "candidates"):
        return as_asked(encoder, pretext)
    if not settings.trains:
        return calibrate(encoder, pretext, founders, seed=settings.seed, observe=tell)
    # A network that is not trained yet can't judge; patches can.
    judge = PatchEncoder("fast").fit(founders, seed=settings.seed, observe=tell)
    found = calibrate(judge, pretext, founders, seed=settings.seed, observe=tell)
    recipe = getattr(found.pretext, "recipe", None)
    chosen: Any = found.pretext
    if recipe is not None and getattr(found.encoder, "mirror", False) and "flip" not in recipe:
        chosen = type(found.pretext)(("flip", *recipe))  # type: ignore[call-arg]
    return Calibration(encoder, chosen, found.rows)


def _from_sibling(settings: Settings, founders: set[str]) -> Learned:
    """The same, and the same choices, so that both runs can be added up."""
    run = settings.founders_from
    pretext = recording.pretext_of(run.config)
    engine = SpectralEngine(run.map.quantiser, founders, run.map.choice, free=False)
    whole = recording.pretext_of(run.config, partners=1.0)
    calibration = Calibration(run.encoder, whole, run.config.get("views", []))
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
    takes = found in builtin.values() and not {"recipe", "preset"}.isdisjoint(
        signature(found).parameters
    )
    return found(option) if option is not None and takes else found()
