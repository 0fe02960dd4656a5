"""Lightning Fabric, started on a device or on what torchrun has started."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from stepwell.engines.gradient.plan import PRECISIONS
from stepwell.kit.ranks import machines, ranks, ranks_here
from stepwell.kit.torch import fabric_or_error, torch_or_error


def launched(device: str, precision: str | None = None) -> Any:
    """Lightning Fabric on a device, or on what torchrun has started.

    ``precision``: None takes bf16-mixed where the device knows it, and 32-true elsewhere.
    """
    torch, kind, _, number = torch_or_error(), *device.partition(":")
    if kind == "cuda":  # the same run twice is the same run
        torch.backends.cudnn.deterministic = True
    if precision is None:
        mixed = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16-mixed" if mixed else PRECISIONS[0]
    more: dict[str, Any] = {"devices": [int(number)] if number else 1}
    if ranks() > 1:
        more = {"devices": ranks_here(), "num_nodes": machines(), "strategy": "ddp"}
    fabric_module = fabric_or_error()
    # Nothing a user can change; and nobody writes into the features that a backbone returns.
    for words in (".*torch.distributed.nn", "Grad strides do not match", ".*returned a view"):
        warnings.filterwarnings("ignore", message=words)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # tips are not for users
    fabric = fabric_module.Fabric(accelerator=kind, precision=precision, **more)
    fabric.launch()
    return fabric
