"""stepwell: self-supervised learning, one step at a time.

>>> import stepwell as sw
>>> run = sw.learn("photos/", out="runs/photos")          # doctest: +SKIP
>>> run.search("photos/cat.jpg", n=5)                     # doctest: +SKIP

Everything heavy is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "learn": "stepwell.learner",
    "resume": "stepwell.learner",
    "Run": "stepwell.run",
    "load": "stepwell.run",
    "open_source": "stepwell.sources",
    "SpectralEncoder": "stepwell.estimator",
    "PatchEncoder": "stepwell.encoders",
    "NetworkEncoder": "stepwell.encoders",
    "TwoViews": "stepwell.pretexts",
    "DenseMoments": "stepwell.engines",
    "Quantiser": "stepwell.engines",
    "Batch": "stepwell.interfaces",
    "Pairs": "stepwell.interfaces",
    "Elements": "stepwell.interfaces",
    "Source": "stepwell.interfaces",
    "Pretext": "stepwell.interfaces",
    "Encoder": "stepwell.interfaces",
    "Part": "stepwell.interfaces",
    "StepwellError": "stepwell.interfaces",
    "UsageError": "stepwell.interfaces",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'stepwell' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
