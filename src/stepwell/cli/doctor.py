"""``stepwell doctor``."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import emit, json_option, say

OPTIONAL = {
    "torch": ("train networks, or encode on a GPU", "pip install 'stepwell[torch]'"),
    "tokenizers": ("train networks on texts", "pip install 'stepwell[text]'"),
    "sacrebleu": ("score translations", "pip install 'stepwell[text]'"),
    "transformers": ("text models from a folder", "pip install 'stepwell[transformers]'"),
    "onnx": ("export networks", "pip install 'stepwell[export]'"),
    "onnxruntime": ("compare with a pretrained network", "pip install 'stepwell[pretrained]'"),
}


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Check this machine: cores, libraries, disk, optional parts and how to get them."""
    facts = examine()
    if as_json:
        return emit(facts)
    for name, value in facts.items():
        if not isinstance(value, dict):
            say(f"{name:>16}  {value}")
    for name, part in facts["optional"].items():
        state = "here" if part["here"] else f"not installed: {part['get']}"
        say(f"{name:>16}  {part['for']}: {state}")
    return None


def examine() -> dict[str, Any]:
    """What ``doctor`` prints."""
    from threadpoolctl import threadpool_info

    import stepwell.kit.linalg  # noqa: F401 - loads the BLAS that is asked about
    from stepwell import __version__
    from stepwell.encoders.patches.fused import library
    from stepwell.kit.threads import cores

    blas = [i for i in threadpool_info() if i["user_api"] == "blas"]
    kernel = "compiled" if library() else "plain numpy (several times slower): install a C compiler"
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return {
        "stepwell": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": f"{cores()} of {os.cpu_count()} usable (STEPWELL_THREADS changes it)",
        "memory": _memory(),
        "BLAS": ", ".join(sorted({f"{i['internal_api']} {i['version']}" for i in blas})) or "none",
        "patch kernel": kernel,
        "disk": f"{free:,.0f} GB free here",
        "optional": {
            name: {"for": use, "get": get, "here": find_spec(name) is not None}
            for name, (use, get) in OPTIONAL.items()
        },
    }


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return "unknown"
    enough = "enough" if total >= 3 else "little: use --preset fast"
    return f"{total:.1f} GB ({enough})"
