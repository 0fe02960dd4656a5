"""The lower bounds of pyproject.toml as exact versions: ``python pins.py [EXTRA …]``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def pins(extras: list[str]) -> list[str]:
    """``name==version`` of all that the project needs at least."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    asked = list(project["dependencies"])
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    found = []
    for line in asked:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", line)
        if match is None:
            raise SystemExit(f"Expected NAME>=VERSION in pyproject.toml, found {line!r}.")
        found.append(f"{match[1]}=={match[2]}")
    return found


if __name__ == "__main__":
    print("\n".join(pins(sys.argv[1:])))
