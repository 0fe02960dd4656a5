"""What a dimension goes with: simple statistics of the examples, by correlation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch

CLEAR = 0.4
"""Correlation from which a statistic is named."""


def simple_statistics(batch: Batch) -> dict[str, NDArray]:
    """Named statistics of images: brightness, contrast, colours, edges, where the light is.

    Returns
    -------
    dict of name to (n,); empty for other kinds of data
    """
    if "image" not in batch.data:
        return {}
    images = np.asarray(batch.data["image"], np.float32)
    grey = images.mean(-1)
    height, width = grey.shape[1:]
    across = np.abs(np.diff(grey, axis=2)).mean((1, 2))
    down = np.abs(np.diff(grey, axis=1)).mean((1, 2))
    mean = grey.mean((1, 2))
    found = {
        "brightness": mean,
        "contrast": grey.std((1, 2)),
        "detail": across + down,
        "vertical rather than horizontal edges": (across - down) / (across + down + 1e-6),
        "light above rather than below": grey[:, : height // 2].mean((1, 2))
        - grey[:, height // 2 :].mean((1, 2)),
        "light in the middle": grey[
            :, height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None
        ].mean((1, 2))
        - mean,
    }
    if images.shape[-1] == 3:
        red, green, blue = images.mean((1, 2)).T
        found |= {
            "warm rather than cold colour": red - blue,
            "green": green - (red + blue) / 2,
            "colourfulness": np.abs(images - grey[..., None]).mean((1, 2, 3)),
        }
    return found


def named_correlations(z: NDArray, statistics: Mapping[str, NDArray], modes: int) -> list[str]:
    """``≈ brightness (r = .81)`` for each of the first modes, or an empty string."""
    notes = []
    for mode in range(modes):
        best, name = 0.0, ""
        for statistic, values in statistics.items():
            if values.std() > 1e-9 and z[:, mode].std() > 1e-9:
                r = float(np.corrcoef(z[:, mode], values)[0, 1])
                if abs(r) > abs(best):
                    best, name = r, statistic
        clear = abs(best) >= CLEAR
        sign = "" if best > 0 else "less "
        notes.append(f"≈ {sign}{name} (r = {abs(best):.2f})" if clear else "")
    return notes
