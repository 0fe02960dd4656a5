"""Features of images by a network that stepwell has exported; stepwell itself is not needed.

Beside this file lie its weights (``backbone.safetensors``) and how it is built
(``backbone.json``: numbers and the name of a model of timm, nothing that is run)::

    from load_backbone import features
    features(images)  # (n, channels, side, side) in [0, 1] -> (n, width)

A network that is made by a function of yours is given that function once:
``load(make=your_function)``.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_loaded: dict[Path, Any] = {}


def facts(folder: Path = HERE) -> Any:
    """How the network is built and what its images are like."""
    return json.loads((Path(folder) / "backbone.json").read_text(encoding="utf-8"))


def load(folder: Path = HERE, make: Any = None) -> Any:
    """The network with its weights; ``make`` builds it where timm does not."""
    import torch
    from safetensors.torch import load_file

    told = facts(folder)
    options = {name: value for name, value in told["options"].items() if name.isidentifier()}
    if told["own"]:
        if make is None:
            raise ValueError(
                "Expected the function that builds this network, found none: call "
                f"load(make=FUNCTION) first; it was made by {told['name']}."
            )
        model = make(**options)
    else:
        import timm

        model = timm.create_model(
            told["name"], pretrained=False, num_classes=0, in_chans=told["channels"], **options
        )
    if told["stem"]:  # of small images: no early loss of resolution
        if told["stem"] != "pool":
            model.conv1 = torch.nn.Conv2d(told["channels"], told["stem"], 3, 1, 1, bias=False)
        model.maxpool = torch.nn.Identity()
    model.load_state_dict(load_file(Path(folder) / "backbone.safetensors"))
    _loaded[Path(folder)] = model.eval()
    return model


def features(images: Any, folder: Path = HERE) -> Any:
    """(n, width) of images (n, channels, side, side) in [0, 1]."""
    import torch

    told = facts(folder)
    model = _loaded.get(Path(folder)) or load(folder)
    mean, spread = (torch.tensor(told[name])[:, None, None] for name in ("mean", "spread"))
    with torch.inference_mode():
        out = model((images - mean) / spread)
    return out.mean((2, 3)) if out.ndim == 4 else out.mean(1) if out.ndim == 3 else out
