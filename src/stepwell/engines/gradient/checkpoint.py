"""Everything a training needs to go on as if it had never stopped: one file, no pickle.

Tensors of any nested state go to safetensors, what is no tensor to JSON in its header.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stepwell.interfaces import StepwellError
from stepwell.kit.files import sync_folder

_SLASH = "\x1f"
"""Between keys of nested states; no name has it."""


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a nested state; whole or not at all, and on the disk when this returns."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    plain = _taken_apart(state, "", tensors)
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        save_file(tensors, scratch, metadata={"plain": json.dumps(plain)})
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
        sync_folder(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """The state in a file.

    Raises
    ------
    StepwellError
        If it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            plain = json.loads(file.metadata()["plain"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found: dict[str, Any] = dict(_joined(plain, tensors))
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise StepwellError(
            f"Expected a whole checkpoint at {path}, found {type(error).__name__}: {error}. "
            f"Restore the file, or learn again."
        ) from None
    return found


def _taken_apart(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` with a mark where a tensor was, which goes to ``tensors``."""
    if isinstance(value, Tensor):
        tensors[place] = value.detach().cpu().contiguous().clone()
        return {"tensor": place}
    if isinstance(value, Mapping):
        parts = [
            [key, _taken_apart(each, f"{place}{_SLASH}{key}", tensors)]
            for key, each in value.items()
        ]
        return {"map": parts}
    if isinstance(value, (list, tuple)):
        return [_taken_apart(each, f"{place}{_SLASH}{i}", tensors) for i, each in enumerate(value)]
    return value


def _joined(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_joined(each, tensors) for each in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _joined(each, tensors) for key, each in value["map"]}
    return value


def random_state() -> dict[str, Any]:
    """Of the generators that training draws from: the CPU's, and that of its device."""
    found: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def set_random_state(state: Mapping[str, Any]) -> None:
    """The inverse of :func:`random_state`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
