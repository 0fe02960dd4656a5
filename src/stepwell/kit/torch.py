"""The torch module, where it is needed; the base install has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from stepwell.interfaces import StepwellError, UsageError

_SPARE, _SPARE_TENSORS = 2**24, 2000
"""What may be built and not kept: heads that are taken off, tables that follow from sizes."""


def torch_or_error() -> Any:
    """The torch module.

    Raises
    ------
    StepwellError
        If it is not installed.
    """
    return _module("torch")


def timm_or_error() -> Any:
    """The timm module, or the same error."""
    return _module("timm")


def fabric_or_error() -> Any:
    """The lightning_fabric module, or the same error."""
    return _module("lightning_fabric")


def transformers_or_error() -> Any:
    """The transformers module, or an error that says what to install."""
    library = _module("transformers", "transformers")
    library.logging.disable_progress_bar()
    return library


@contextmanager
def judging(*modules: Any) -> Iterator[None]:
    """Modules as they judge and not as they are trained, without gradients; afterwards they are
    as they were."""
    before = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        with torch_or_error().inference_mode():
            yield
    finally:
        for module, was in zip(modules, before, strict=True):
            module.train(was)


@contextmanager
def no_larger(arrays: Mapping[str, Any]) -> Iterator[None]:
    """Modules may be built that ask for about as many weights as there are in ``arrays``.

    How large a module gets follows from settings in ways that nobody can list. So what it asks for
    is counted as it is built: room that was asked for and never written to costs nothing.

    Raises
    ------
    ValueError
        As soon as one asks for much more.
    """
    hooks = torch_or_error().nn.modules.module
    most = 4 * sum(np.asarray(array).size for array in arrays.values()) + _SPARE
    each = 4 * len(arrays) + _SPARE_TENSORS
    asked = tensors = 0

    def count(module: Any, name: str, found: Any) -> None:
        nonlocal asked, tensors
        asked, tensors = asked + (0 if found is None else found.numel()), tensors + 1
        if asked > most or tensors > each:
            raise ValueError(f"a network of {asked:,} weights or more, and not as many in the file")

    held = [
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in held:
            hook.remove()


def check_device(name: str) -> None:
    """Raise UsageError for a device that this machine has not."""
    torch = torch_or_error()
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError):
        known = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        there = ", ".join(["cpu", *(device for device, is_there in known.items() if is_there)])
        raise UsageError(f"Expected a device of this machine ({there}), found {name!r}.") from None


def arrays_of(module: Any) -> dict[str, Any]:
    """Its weights as numpy arrays, by name."""
    return {k: v.detach().cpu().numpy() for k, v in module.state_dict().items()}


def out_of_memory(error: BaseException) -> bool:
    """Whether torch says that a device, or the machine, has no memory left."""
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return any(word in str(error).lower() for word in words)


def _module(name: str, extra: str = "torch") -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise StepwellError(
            f"Expected {name} for networks, found none: pip install 'stepwell[{extra}]'."
        ) from None
