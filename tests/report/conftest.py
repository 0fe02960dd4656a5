"""A full summary, made from scikit-learn's digits, and a browser where there is one."""

from __future__ import annotations

import html
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from stepwell.report import image_html

NAMES = ("stepwell", "same encoder, one level less", "PCA of patches", "raw pixels")
ROLES = ("ours", "ladder", "control", "peer")


def _scores() -> list[dict[str, Any]]:
    rows = [
        {"name": name, "role": role, "value": 90.0 - 7 * i, "low": 89 - 7 * i, "high": 91 - 7 * i}
        for i, (name, role) in enumerate(zip(NAMES, ROLES, strict=True))
    ]
    return [{"name": "kNN accuracy", "unit": "%", "note": "cosine kNN, k = 20", "rows": rows}]


def _curves() -> list[dict[str, Any]]:
    lines = [
        {"name": name, "role": role, "y": [40, 60 - 5 * i, 90 - 7 * i]}
        for i, (name, role) in enumerate(zip(NAMES, ROLES, strict=True))
    ]
    lines[0] |= {"low": [38, 58, 89], "high": [42, 62, 91]}
    axes = {"title": "Few labels", "x_label": "labels per class", "y_label": "accuracy %"}
    return [{**axes, "x": ["1", "10", "all"], "lines": lines}]


def _rest() -> dict[str, Any]:
    return {
        "title": "digits",
        "version": "0.1.0",
        "created": "2026-11-24 14:02",
        "verdict": {
            "tone": "good",
            "sentence": "It learned, and is better than every control.",
            "details": ["Difference: +7.0 points.", "`stepwell evaluate` tells more."],
        },
        "warnings": ["3 files could not be read."],
        "spectrum": {
            "eigenvalues": 0.95 / (1 + np.arange(200) / 20),
            "noise": np.float64(0.12),
            "kept": np.int64(140),
            "threshold_note": "140 dimensions rise above the water.",
        },
        "scores": _scores(),
        "curves": _curves(),
        "recipe": {
            "facts": [["time", "1 min 12 s"], ["energy, estimated", "0.4 Wh"]],
            "config": '[learn]\nseed = 0\nsource = "digits"\n',
            "versions": [["numpy", "2.4"]],
        },
        "next": [{"command": "stepwell search runs/digits a.png", "what": "find similar examples"}],
    }


@pytest.fixture(scope="session")
def pictures() -> list[dict[str, Any]]:
    """300 digits as pictures."""
    images = (load_digits().images[:300] * 15.9).astype(np.uint8)
    return [
        {"html": image_html(image[..., None]), "id": f"digit/{i}.png"}
        for i, image in enumerate(images)
    ]


@pytest.fixture
def summary(pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """Every section, as a run would fill it."""
    rng = np.random.default_rng(0)
    modes = [
        {
            "index": i + 1,
            "eigenvalue": 0.9 - 0.05 * i,
            "low": pictures[12 * i : 12 * i + 6],
            "high": pictures[12 * i + 6 : 12 * i + 12],
            "where": rng.random((4, 4)).tolist() if i % 2 else None,
            "note": "≈ brightness (r = .81)" if i == 0 else None,
        }
        for i in range(10)
    ]
    views = [
        {"name": name, "retrieval": r, "used": r > 0.5, "why": "known", "pictures": pictures[:6]}
        for name, r in (("zoom", 0.99), ("rotate", 0.3))
    ]
    hits = [{**picture, "score": 0.9 - 0.05 * i} for i, picture in enumerate(pictures[1:9])]
    return _rest() | {
        "data": {
            "facts": [["examples", "300"], ["size", "8 × 8, grey"]],
            "samples": pictures[:60],
            "skipped": [{"id": "a.png", "reason": "empty file"}],
            "skipped_total": 3,
        },
        "views": {"rows": views, "note": "Chosen without labels."},
        "modes": modes,
        "neighbours": [{"query": pictures[0], "hits": hits}],
        "map": {
            "x": rng.standard_normal(300),
            "y": rng.standard_normal(300),
            "pictures": [p if i % 2 else None for i, p in enumerate(pictures)],
            "ids": [p["id"] for p in pictures],
            "label": [str(i % 10) for i in range(300)],
        },
    }


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        pytest.skip("no Chromium is installed: the page was not opened")
    return found


class Opened:
    """What a page dumped after its probe ran, and what the console said."""

    def __init__(self, dom: str, log: str) -> None:
        self.dom = dom
        self.console = [line for line in log.splitlines() if ":CONSOLE" in line]


@pytest.fixture
def opened(chromium: str, tmp_path: Path) -> Any:
    """``opened(page, probe, widths, dark)``: the page in frames of these widths.

    ``probe`` is JavaScript run for each frame with ``doc``, ``win`` and ``width``; what it
    returns is joined into the dumped page's ``data-found``, one JSON per frame.
    """

    def open_page(page: str, probe: str, widths: tuple[int, ...], dark: bool = False) -> Opened:
        frames = "".join(
            f'<iframe width="{width}" height="800" style="border:0" srcdoc="{html.escape(page)}">'
            "</iframe>"
            for width in widths
        )
        script = (
            "onload = () => { const found = [...document.querySelectorAll('iframe')].map(f => {"
            "const win = f.contentWindow, doc = f.contentDocument, width = Number(f.width);"
            f"{probe}"
            "}); document.body.replaceChildren();"
            "document.body.textContent = 'FOUND' + JSON.stringify(found) + 'END'; }"
        )
        wrapper = tmp_path / "wrapper.html"
        wrapper.write_text(
            f'<meta charset="utf-8"><body>{frames}<script>{script}</script>', encoding="utf-8"
        )
        done = subprocess.run(
            [
                chromium,
                *_FLAGS,
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                "--dump-dom",
                wrapper.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Opened(html.unescape(done.stdout), done.stderr)

    return open_page


_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--enable-logging=stderr",
    "--v=0",
]
