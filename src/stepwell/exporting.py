"""A run's network for use without stepwell: a plain state dict, and ONNX, both checked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders import NetworkEncoder
from stepwell.encoders.network import load_backbone
from stepwell.encoders.network.backbones import function_of, made_with, own_options
from stepwell.engines.quantise import LEVELS
from stepwell.interfaces import Batch, StepwellError, UsageError, concatenate
from stepwell.kit.files import write_atomic, write_json
from stepwell.kit.folders import new_folder
from stepwell.kit.torch import torch_or_error
from stepwell.run import Run

WEIGHTS, SNIPPET, ONNX = "backbone.safetensors", "load_backbone.py", "embedder.onnx"
FACTS = "backbone.json"
CHECKED = 16
"""Examples that what was exported is compared on."""
NEAR, ALIKE = 1e-3, 0.999
"""Largest relative difference of features, and least cosine of embeddings, that pass."""


def export(run: Run, out: Path, *, onnx: bool = True, overwrite: bool = False) -> dict[str, Any]:
    """Write the backbone and, as ONNX, the whole way from pixels to the embedding.

    Parameters
    ----------
    out : path
        A new folder for ``backbone.safetensors`` (names as timm or torch has them),
        ``backbone.json``, ``load_backbone.py``, which loads it without stepwell, and
        ``embedder.onnx``. The code is the same for every run: nothing of a run is in it.

    Returns
    -------
    dict
        Files, and how near they are to the run: ``features`` (largest difference relative to
        the largest feature) and ``cosine`` (the least).

    Raises
    ------
    UsageError
        If the run's encoder is no network, or something is at ``out``.
    StepwellError
        If what was written does not agree with the run.
    """
    if run.encoder.name != NetworkEncoder.name:
        raise UsageError(
            f"Expected a run whose encoder is a network, found {run.encoder.name!r}: networks of "
            f"images are exported, learned with --backbone, with or without --engine gradient."
        )
    _check_free(out, overwrite)
    some, encoder = _some(run), run.encoder.on("cpu")  # type: ignore[attr-defined]
    with new_folder(out.absolute(), overwrite=overwrite) as folder:
        facts = {"out": str(out), "features": _write_backbone(encoder, folder, some)}
        if onnx:
            facts["cosine"] = _write_onnx(run, encoder, folder / ONNX, some)
    return facts


def _check_free(out: Path, overwrite: bool) -> None:
    """Raise unless there is nothing at ``out``, or an export that may be replaced."""
    ours = {WEIGHTS, FACTS, SNIPPET, ONNX}
    if out.exists() and not (out.is_dir() and {p.name for p in out.iterdir()} <= ours):
        raise UsageError(
            f"Expected a new folder, found something else at {out}: choose another --out."
        )
    if out.exists() and not overwrite:
        raise UsageError(
            f"Expected a new folder, found an export at {out}: add --overwrite to replace it."
        )


def _some(run: Run) -> Batch:
    """A few of the run's examples."""
    names = set(map(str, run.index[0][:CHECKED]))
    return concatenate(run.own_source().batches(CHECKED, ids=names))


def _write_backbone(encoder: Any, folder: Path, some: Batch) -> float:
    from safetensors.torch import save_file

    weights = {k: v.cpu().contiguous() for k, v in encoder.module.net.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    write_json(folder / FACTS, facts_of(encoder))
    write_atomic(folder / SNIPPET, Path(load_backbone.__file__).read_bytes())
    make = function_of(encoder.spec.name) if ":" in encoder.spec.name else None
    load_backbone.load(folder, make)
    found = load_backbone.features(_pixels(encoder, some) / 255, folder).numpy()
    expected = encoder.embed(some)
    apart = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12))
    if apart > NEAR:
        raise StepwellError(
            f"Expected the exported backbone to give the run's features, found them apart by "
            f"{apart:.2g}: please report this."
        )
    return apart


def facts_of(encoder: Any) -> dict[str, Any]:
    """What builds the backbone again without stepwell: plain values."""
    spec = encoder.spec
    own = ":" in spec.name
    return {
        "name": spec.name,
        "own": own,
        "options": own_options(spec) if own else made_with(spec),
        "stem": "" if own else _stem(encoder),
        "mean": list(map(float, spec.mean)),
        "spread": list(map(float, spec.spread)),
        "channels": spec.channels,
        "side": spec.side,
        "width": encoder.width,
    }


def _stem(encoder: Any) -> int | str:
    """What was changed in a ResNet for small images: channels of its first layer, or only its
    pooling; empty for nothing."""
    net, spec = encoder.module.net, encoder.spec
    if not (spec.small and hasattr(net, "conv1") and hasattr(net, "maxpool")):
        return ""
    return int(net.conv1.out_channels) if hasattr(net.conv1, "out_channels") else "pool"


def _pixels(encoder: Any, some: Batch) -> Any:
    """(n, c, side, side) in [0, 255], as the network sees them before its normalisation."""
    torch, spec = torch_or_error(), encoder.spec
    mean, spread = (torch.tensor(side)[:, None, None] for side in (spec.mean, spec.spread))
    return (encoder.prepared(some.data["image"]).cpu() * spread + mean) * 255


def _write_onnx(run: Run, encoder: Any, path: Path, some: Batch) -> float:
    """The embedder, and the least cosine of its embeddings with the run's."""
    torch = torch_or_error()
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as missing:
        raise StepwellError(
            f"Expected {missing.name} to write ONNX, found none: pip install 'stepwell[export]', "
            f"or add --no-onnx."
        ) from None
    images = _pixels(encoder, some)
    with torch.inference_mode():
        torch.onnx.export(
            _embedder(run.map, encoder).eval(),
            (images,),
            path,
            input_names=["pixels"],
            output_names=["embedding"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: NDArray = session.run(None, {"pixels": images.numpy()})[0]
    cosine = float((found * run.map(encoder.embed(some))).sum(1).min())
    if not cosine > ALIKE:
        raise StepwellError(
            f"Expected the exported network to embed as the run does, found a cosine of "
            f"{cosine:.4f}: please report this, or add --no-onnx."
        )
    return cosine


def _embedder(found: Any, encoder: Any) -> Any:
    """Pixels (n, c, side, side) in [0, 255] → (n, k): normalise, backbone, closed form."""
    torch, spec, share = torch_or_error(), encoder.spec, found.share
    unit = partial(torch.nn.functional.normalize, dim=1)

    class Embedder(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = encoder.module
            named = {"mean": spec.mean, "spread": spec.spread}
            for name, value in named.items():
                self.register_buffer(name, torch.tensor(value)[:, None, None])
            named = {"centre": found.quantiser.mean, "mu": found.mu, "vectors": found.vectors}
            named |= {} if found.broad is None else {"broad": found.broad}
            for name, value in named.items():
                self.register_buffer(name, torch.tensor(np.asarray(value)))
            self.scale = float(found.quantiser.scale)

        def forward(self, pixels: Any) -> Any:
            features = self.net((pixels / 255 - self.mean) / self.spread)
            codes = torch.round((features - self.centre) / self.scale).clamp(-LEVELS, LEVELS)
            z = unit((codes - self.mu) @ self.vectors)
            if found.broad is None:
                return z
            beside = unit((codes - self.mu) @ self.broad)
            return torch.cat([(1 - share) ** 0.5 * z, share**0.5 * beside], 1)

    return Embedder()
