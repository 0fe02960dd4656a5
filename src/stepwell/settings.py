"""What learning can be told, and whether it makes sense together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

from stepwell import recording
from stepwell.encoders import (
    ENCODERS,
    NETWORKS,
    NetworkEncoder,
    PretrainedEncoder,
    TransformerEncoder,
)
from stepwell.encoders.transformer.saved import model_folder
from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import for_kind
from stepwell.kit.stopwatch import Stopwatch
from stepwell.pretexts import PRETEXTS, TwoViews, refuse_pairs
from stepwell.pretexts.tokens import Parallel
from stepwell.run import Run
from stepwell.wishing import check_fits, usual_pretext, wished

ENGINES = ("spectral", "gradient")
DIMENSIONS = {"fast": 512, "default": 1024, "large": 1536}
"""Of the embedding at most, by preset."""


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
    budget: float | None = None
    engine: str | None = None
    backbone: str | None = None
    weights: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0

    @property
    def trains(self) -> bool:
        """Whether a network is trained."""
        return self.engine == "gradient"


def check(settings: Settings) -> Settings:
    """The settings, if they make sense together; a sibling's preset and seed are its own.

    Raises
    ------
    UsageError
    """
    if settings.preset not in DIMENSIONS:
        hint = nearest(settings.preset, DIMENSIONS)
        known = ", ".join(DIMENSIONS)
        raise UsageError(f"Expected a preset ({known}), found {settings.preset!r}.{hint}")
    objective = settings.training.get("objective")
    if settings.trains and settings.pretext is None and objective is not None:
        usual = usual_pretext(objective)
        settings = replace(settings, pretext=None if usual == TwoViews.name else usual)
    if settings.engine is not None:
        _check_engine(settings)
    by_name = settings.pretext is None or isinstance(settings.pretext, str)
    other = settings.pretext is not None and built_in(settings.pretext) is None
    if settings.views is not None and (other or not by_name):
        named = [name for name, kind in PRETEXTS.items() if _takes_recipe(kind)]
        raise UsageError(
            f"Expected views for a pretext that takes a recipe ({', '.join(named)}), found them "
            f"with another: leave one out."
        )
    if settings.founders_from is None:
        return settings
    sibling = settings.founders_from
    sibling = sibling if isinstance(sibling, Run) else Run(sibling)
    below = ("pretext", "encoder", "views", "backbone")
    named = [n for n in below if getattr(settings, n) is not None]
    named += ["engine"] if settings.trains else []
    if named:
        raise UsageError(
            f"Expected all below the moments from the sibling run, found {', '.join(named)} "
            f"given too: leave that out, or learn without founders from another run."
        )
    learned = sibling.config["learn"]
    if settings.seed != learned["seed"]:
        raise UsageError(
            f"Expected the sibling's seed {learned['seed']}, found {settings.seed}: with "
            f"another, the sums of the two runs would not add up."
        )
    return replace(settings, founders_from=sibling, preset=learned["preset"])


def check_kind(settings: Settings, kind: str, paired: bool = False) -> Settings:
    """The settings with the engine that suits a kind of data and a pretext, where none was named;
    before any of the data is read. ``paired``: whether texts come with translations,
    which are then learned.

    Raises
    ------
    UsageError
        For names that nothing has (with the nearest one), and for what is for other data.
    """
    if paired and settings.pretext is None:
        settings = replace(settings, pretext=Parallel.name)
    _check_names(settings, kind)
    pretext = class_of(settings, kind)
    if pretext is Parallel and not paired:
        raise UsageError(
            "Expected pairs of texts for the pretext parallel, found texts alone: add --target (in "
            "Python open_source(source, target=...)), a file with the translation of each line."
        )
    if settings.engine is None:
        settings = replace(settings, engine=getattr(pretext, "engine", ENGINES[0]))
        _check_engine(settings)
    kinds = {name for made in NETWORKS.values() for name in made.kinds}
    if settings.trains and kind not in kinds:
        raise UsageError(
            f"Expected {' or '.join(sorted(kinds))} for a network, found {kind}: leave the engine "
            f"out."
        )
    if settings.training.get("sharded") and kind not in NetworkEncoder.kinds:
        raise UsageError(f"Expected images for --shard, found {kind}: leave it out.")
    if settings.weights is not None and not _has_use_for(settings, kind):
        raise UsageError(
            "Expected the backbone that weights belong to, found weights alone: add --backbone."
        )
    if settings.backbone is not None and kind not in kinds:
        raise UsageError(
            f"Expected {' or '.join(sorted(kinds))} for a backbone, found {kind}: leave it out."
        )
    if settings.backbone is not None and kind in PretrainedEncoder.kinds:
        _check_pretrained(settings, pretext)
    if pretext in PRETEXTS.values() and settings.trains:
        check_fits(settings.training.get("objective"), pretext)
    elif pretext in PRETEXTS.values() and pretext.target == "other":
        raise refuse_pairs(pretext.name)
    return settings


def _check_pretrained(settings: Settings, pretext: Any) -> None:
    """Raise for what does not go with a text model of others."""
    model_folder(str(settings.backbone))
    if settings.weights is not None:
        raise UsageError(
            "Expected a folder with a text model, weights and all, as the backbone, found "
            "--weights too: leave them out."
        )
    if hasattr(pretext, "style"):
        raise UsageError(
            f"Expected a pretext of views (two_views, neighbours) for a text model of others, "
            f"found {pretext.name}, which asks for tokens of ours: leave --backbone out."
        )


def _has_use_for(settings: Settings, kind: str) -> bool:
    """Whether there is a network that weights belong to; a transformer begins from a run's."""
    trained = settings.trains and kind in TransformerEncoder.kinds
    return trained or settings.backbone is not None


def class_of(settings: Settings, kind: str) -> Any:
    """The class of the pretext that was asked for, or of the first for a kind of data."""
    asked = settings.pretext
    if asked is None:
        return for_kind("pretexts", PRETEXTS, kind)
    return recording.by_name("pretexts", PRETEXTS, asked, kind) if _named(asked) else type(asked)


def _named(asked: Any) -> bool:
    return isinstance(asked, str)


def _check_names(settings: Settings, kind: str) -> None:
    """Raise for names that nothing has, or that are for other data."""
    named = (("pretexts", PRETEXTS, settings.pretext), ("encoders", ENCODERS, settings.encoder))
    for room, builtin, name in named:
        if not _named(name):
            continue
        made = recording.by_name(room, builtin, name, kind)
        if made.kinds and kind not in made.kinds:
            raise UsageError(
                f"Expected one of the {room} for {kind}, found {name}, which is for "
                f"{' and '.join(sorted(made.kinds))}."
            )
    if settings.views is not None and isinstance(settings.pretext, str | None):
        pairs = for_kind("pretexts", PRETEXTS, kind)
        if pairs is not None and pairs in PRETEXTS.values() and not _takes_recipe(pairs):
            raise UsageError(f"Expected views for images, found them for {kind}: leave them out.")


def _takes_recipe(kind: Any) -> bool:
    return "recipe" in signature(kind).parameters


def _check_engine(settings: Settings) -> None:
    """Raise unless engine, encoder, backbone and weights make sense together."""
    if settings.engine not in ENGINES:
        hint = nearest(str(settings.engine), ENGINES)
        raise UsageError(
            f"Expected an engine ({', '.join(ENGINES)}), found {settings.engine!r}.{hint}"
        )
    network = settings.trains or settings.backbone is not None
    if network and settings.encoder is not None:
        raise UsageError(
            "Expected an encoder or a backbone to train, found both: leave one of them out."
        )
    if settings.training and not settings.trains:
        names = ", ".join(sorted(settings.training))
        raise UsageError(
            f"Expected settings of training with the engine gradient, found {names} with "
            f"{settings.engine}: add --engine gradient, or leave them out."
        )
    if settings.trains:  # before anything is read
        wished(settings.training, settings.budget, Stopwatch())


def built_in(pretext: Any) -> Any:
    """The class of a pretext of ours, by name or as an object; None for others."""
    kind = PRETEXTS.get(pretext) if isinstance(pretext, str) else type(pretext)
    return kind if kind in PRETEXTS.values() else None
