"""Backbones by name: any model timm knows, or a torch module of your own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from stepwell.encoders.network.load_backbone import FETCHING, PLAIN
from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import OWN, own_code
from stepwell.kit.torch import timm_or_error, torch_or_error

SMALL = 96
"""Images up to this side get a stem that keeps their resolution."""
TRANSFORMERS = ("vit", "deit")
"""What names of transformers that take a size of patches begin with."""
_PLAIN = (str, int, float, bool, type(None))
GRID = 8
"""Patches a side of a transformer on small images."""


@dataclass(frozen=True)
class Spec:
    """What builds a backbone again, without its weights.

    Attributes
    ----------
    name : str
        A model of timm, or ``"package.module:function"``, which returns a module from
        (n, c, h, w) to features; it is told ``channels`` and ``side`` if it takes them.
    channels, side : int
        Of the images it takes.
    small : bool
        Stem for small images: no early loss of resolution.
    mean, spread : tuple of float
        Of its pixels in [0, 1], by channel: subtracted and divided by.
    options : mapping
        Further keywords of the model.
    """

    name: str
    channels: int
    side: int
    small: bool = False
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As settings of a part."""
        return {**asdict(self), "mean": list(self.mean), "spread": list(self.spread)}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Spec:
        """The inverse of :meth:`plain`."""
        try:
            tuples = {name: tuple(map(float, settings[name])) for name in ("mean", "spread")}
            spec = cls(**{**settings, **tuples})
            _check(spec)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StepwellError(
                f"Expected how a backbone is built, found {type(error).__name__}: {error}. The run "
                f"is damaged, or was changed: bring back a copy."
            ) from None
        return spec


def _check(spec: Spec) -> None:
    """Raise ValueError for a spec that no run of ours has."""
    counts = {"channels": (spec.channels, 64), "side": (spec.side, 4096)}
    for name, (value, most) in counts.items():
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(f"{name} = {value!r}")
    for name, values, low in (("mean", spec.mean, -1e6), ("spread", spec.spread, 1e-6)):
        if not 1 <= len(values) <= 64 or not all(low <= value <= 1e6 for value in values):
            raise ValueError(f"{name} = {str(values)[:80]}")
    if not isinstance(spec.small, bool) or not isinstance(spec.options, dict):
        raise ValueError(f"small = {spec.small!r}, options = {str(spec.options)[:80]}")
    if not isinstance(spec.name, str) or len(spec.name) > 200:
        raise ValueError(f"name = {str(spec.name)[:50]!r}")
    for name, value in spec.options.items():
        plain = [*value] if isinstance(value, (list, tuple)) else [value]
        if not name.isidentifier() or not all(isinstance(v, _PLAIN) for v in plain):
            raise ValueError(f"an option {name[:80]!r}")


def made_with(spec: Spec) -> dict[str, Any]:
    """Keywords that timm makes the backbone with; none that reads or fetches something."""
    return {
        **small_options(spec),
        **{k: v for k, v in spec.options.items() if not k.startswith(FETCHING)},
    }


def build(spec: Spec, seed: int, weights: str | None = None) -> Any:
    """The backbone, (n, c, side, side) → (n, width), with random weights or those of a file.

    Parameters
    ----------
    spec : Spec
    seed : int
        Of random weights.
    weights : path or "hub", optional
        A ``.safetensors`` file; "hub" downloads what timm names, and only then.

    Raises
    ------
    UsageError
        For an unknown name (with the nearest one), or weights of another network.
    """
    torch = torch_or_error()
    with _seeded(torch, seed):
        module = _own(spec, weights) if ":" in spec.name else _timm(spec, weights)
    return _pooled(module)


def pretrained_spec(spec: Spec, source: str | None) -> Spec:
    """With the preprocessing that travels with pretrained weights, where timm knows it."""
    if source is None or ":" in spec.name:
        return spec
    facts = timm_or_error().get_pretrained_cfg(_known(spec.name))
    if facts is None:
        return spec
    side = facts.input_size[-1]
    return Spec(spec.name, spec.channels, side, False, facts.mean, facts.std, spec.options)


@contextmanager
def _seeded(torch: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _known(name: str) -> str:
    timm = timm_or_error()
    if not PLAIN.fullmatch(name) or not timm.is_model(name.split(".")[0]):
        hint = nearest(name, timm.list_models())
        raise UsageError(
            f"Expected a backbone that timm knows, or package.module:function, found {name!r}."
            f"{hint}"
        )
    return name


def _timm(spec: Spec, weights: str | None) -> Any:
    timm, options = timm_or_error(), made_with(spec)
    if weights is not None:
        options["pretrained"] = True
        if weights != "hub":
            options["pretrained_cfg_overlay"] = {"file": str(_safe(weights))}
    make = partial(timm.create_model, _known(spec.name), num_classes=0, in_chans=spec.channels)
    random = torch_or_error().get_rng_state()
    try:
        model = make(**options)
    except (RuntimeError, KeyError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        asked = f"weights of {spec.name} in {weights}" if weights else f"options of {spec.name}"
        raise UsageError(f"Expected {asked}, found others: {why}") from None
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UsageError(f"Expected options of {spec.name}, found {error}.") from None
    if weights is not None:
        torch_or_error().set_rng_state(random)
        _check_loaded(model, make(**{k: v for k, v in options.items() if "pretrained" not in k}))
    if spec.small and hasattr(model, "conv1") and hasattr(model, "maxpool"):
        _small_stem(model)
    return model


def _check_loaded(model: Any, fresh: Any) -> None:
    """Raise if filters are still what they were drawn as: timm leaves out what it can't place."""
    pairs = zip(model.named_parameters(), fresh.parameters(), strict=True)
    left = [name for (name, p), drawn in pairs if p.ndim > 1 and bool((p == drawn).all())]
    if left:
        raise UsageError(
            f"Expected weights of the whole backbone, found others: {len(left)} of its layers, "
            f"such as {left[0]}, are not among them. Name the backbone they belong to."
        )


def small_options(spec: Spec) -> dict[str, Any]:
    """Keywords that fit a model made for 224 pixels to another size."""
    if spec.name.startswith(TRANSFORMERS):
        small = {"patch_size": _fitting_patch(spec.side)} if spec.small else {}
        # So that small views fit too.
        dynamic = {"dynamic_img_size": True} if plain_transformer(spec.name) else {}
        return {"img_size": spec.side, **dynamic, **small}
    if spec.name.startswith("convnext") and spec.small:
        return {"patch_size": 1 if spec.side <= SMALL // 2 else 2}
    return {}


def plain_transformer(name: str) -> bool:
    """Whether timm makes a model of that name of its VisionTransformer: others take neither
    images of several sizes nor a mean instead of a class token."""
    timm = timm_or_error()
    if ":" in name or not name.startswith(TRANSFORMERS) or not timm.is_model(name.split(".")[0]):
        return False
    place = timm.model_entrypoint(name.split(".")[0]).__module__.rpartition(".")[2]
    return place in ("vision_transformer", "deit") and "distilled" not in name


def _fitting_patch(side: int) -> int:
    """Pixels a side of the patches that divide an image into about :data:`GRID` a side."""
    divisors = [size for size in range(1, side + 1) if side % size == 0]
    return min(divisors, key=lambda size: (abs(size - side / GRID), size))


def patch_of(module: Any) -> int:
    """Pixels that sides of images have to be a multiple of: a patch of a transformer, else 1."""
    patches = getattr(getattr(module, "net", None), "patch_embed", None)
    size = getattr(patches, "patch_size", 1)
    return int(size[0] if isinstance(size, (tuple, list)) else size)


def _small_stem(model: Any) -> None:
    """He et al.'s ResNet for CIFAR: 3 x 3 at full resolution, and no pooling before block 1."""
    nn, first = torch_or_error().nn, model.conv1
    if isinstance(first, nn.Conv2d):
        model.conv1 = nn.Conv2d(first.in_channels, first.out_channels, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()


def _own(spec: Spec, weights: str | None) -> Any:
    name, function = spec.name, function_of(spec.name)
    module = function(**_taken(function, spec))
    if not isinstance(module, torch_or_error().nn.Module):
        raise UsageError(f"Expected a torch module from {name}, found {type(module).__name__}.")
    if weights is not None:
        from safetensors.torch import load_file

        try:
            module.load_state_dict(load_file(_safe(weights)))
        except RuntimeError as error:
            raise UsageError(
                f"Expected weights of {name} in {weights}, found others: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None
    return module


def own_options(spec: Spec) -> dict[str, Any]:
    """What the function of an own backbone is told."""
    return _taken(function_of(spec.name), spec)


def function_of(name: str) -> Any:
    """What ``package.module:function`` names."""
    if not OWN.fullmatch(name):
        raise UsageError(f"Expected a backbone package.module:function, found {name!r}.")
    return own_code(name, "a backbone package.module:function")


def _taken(function: Any, spec: Spec) -> dict[str, Any]:
    known = {"channels": spec.channels, "side": spec.side, **spec.options}
    return {k: v for k, v in known.items() if k in signature(function).parameters}


def _safe(weights: str) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"Expected a file of weights, found none at {weights}.")
    if path.suffix != ".safetensors":
        raise UsageError(
            f"Expected weights as .safetensors, found {path.name}: other formats can run code "
            f"when opened. Convert yours once, where you trust it: safetensors.torch.save_file("
            f"torch.load(FILE, weights_only=True), 'weights.safetensors')."
        )
    return path


def _pooled(module: Any) -> Any:
    """Around a module; its class needs torch, which is imported late."""
    torch = torch_or_error()

    class Pooled(torch.nn.Module):  # type: ignore[name-defined]
        """Features averaged over places or tokens, where a backbone has these."""

        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def forward(self, x: Any) -> Any:
            return _averaged(self.net(x))

        def everything(self, x: Any) -> Any:
            """(n, 1 + t, d): features of the whole, then those of t places."""
            if hasattr(self.net, "forward_features"):  # a model of timm
                found = self.net.forward_features(x)
                whole = _averaged(self.net.forward_head(found, pre_logits=True))
                apart = _apart(found, self.net)
            else:
                found = self.net(x)
                whole, apart = _averaged(found), _apart(found, None)
            return torch.cat([whole[:, None], apart], 1)

    return Pooled()


def _averaged(features: Any) -> Any:
    """(n, d) features of the whole, averaged over what places or tokens there are."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def _apart(features: Any, net: Any) -> Any:
    """(n, t, d) features of places; of a model that has none, those of the whole."""
    if features.ndim == 4:
        last = getattr(net, "output_fmt", "NCHW") == "NHWC"
        return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
    if features.ndim == 2:
        return features[:, None]
    return features[:, getattr(net, "num_prefix_tokens", 0) :]


def check_features(features: Any, name: str) -> None:
    """Raise if a backbone gives something that can't be learned from."""
    if features.ndim != 2:
        raise StepwellError(
            f"Expected features (n, d), (n, t, d) or (n, d, h, w) from {name}, found shape "
            f"{tuple(features.shape)}."
        )
    if not bool(torch_or_error().isfinite(features).all()):
        raise StepwellError(
            f"Expected finite features from {name}, found NaN or infinity: its weights or its "
            f"preprocessing are not what it needs."
        )
