"""The page in a browser: no errors, nothing wider than the screen, colours that can be read."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import pytest

from stepwell.report import render, series_html, text_html

WIDTHS = (1280, 360)

PROBE = """
doc.querySelectorAll('details').forEach(d => { d.open = true; });
const wide = [...doc.body.querySelectorAll('*')].filter(e => !e.closest('svg *, .map')
  && e.getBoundingClientRect().right > width + 0.5).map(e => `${e.tagName}.${e.className}`);
const box = doc.querySelector('.map');
for (const key of ['ArrowRight', 'ArrowUp', 'ArrowUp'])
  box.dispatchEvent(new win.KeyboardEvent('keydown', {key}));
const tip = doc.querySelector('.tip'), frame = tip.getBoundingClientRect();
const place = box.getBoundingClientRect();
const paper = win.getComputedStyle(doc.body).backgroundColor;
doc.querySelector('.toggle').click();
return {
  width, scroll: doc.documentElement.scrollWidth, wide: wide.slice(0, 5), paper,
  turned: win.getComputedStyle(doc.body).backgroundColor,
  tip: !tip.hidden && tip.querySelector('.tip-id').textContent,
  inside: frame.left >= place.left && frame.right <= place.right,
  copy: doc.querySelectorAll('.copy').length, pwned: 'pwned' in win,
  broken: [...doc.images].filter(i => !i.closest('.tip') && !i.naturalWidth).length,
};
"""


def found(opened: Any) -> list[dict[str, Any]]:
    text = re.search(r"FOUND(\[.*\])END", opened.dom, re.S)
    assert text, opened.dom[-500:]
    return json.loads(text[1])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_opens_cleanly(opened: Any, summary: dict[str, Any], dark: bool) -> None:
    page = opened(render(summary), PROBE, WIDTHS, dark)
    assert page.console == []
    light, night = "rgb(251, 251, 249)", "rgb(14, 21, 22)"
    for frame in found(page):
        assert frame["scroll"] <= frame["width"], frame["wide"]
        assert frame["wide"] == []
        assert (frame["paper"], frame["turned"]) == ((night, light) if dark else (light, night))
        assert frame["tip"].startswith("digit/")
        assert frame["inside"]
        assert frame["copy"] == 2
        assert frame["broken"] == 0


@pytest.mark.parametrize("kind", ["text", "series"])
def test_other_kinds_and_hostile_words_fit(opened: Any, summary: dict[str, Any], kind: str) -> None:
    nasty = "</script><script>window.pwned=1</script>" + "W" * 300
    html = text_html(nasty) if kind == "text" else series_html([[0.1], [0.7], [0.2]])

    def swapped(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {"html": html} if "html" in value else {}
            fixed = ("html", "tone", "role", "unit")
            return {k: v if k in fixed else swapped(v) for k, v in value.items()} | kept
        if isinstance(value, list):
            return [swapped(item) for item in value]
        return nasty if isinstance(value, str) else value

    page = opened(render(swapped(summary)), PROBE, WIDTHS)
    assert page.console == []
    for frame in found(page):
        assert frame["scroll"] <= frame["width"], frame["wide"]
        assert frame["wide"] == []
        assert not frame["pwned"]


def themes() -> list[dict[str, str]]:
    """The colour variables of each block of the style sheet: light, dark, dark."""
    style = resources.files("stepwell.report").joinpath("style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", style)
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks]


def test_both_dark_blocks_are_one() -> None:
    light, by_system, by_toggle = themes()
    assert by_system == by_toggle
    assert light.keys() == by_system.keys()


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("words", ["ink", "soft", "faint", "accent", "good", "mixed", "bad"])
def test_words_stand_out(theme: int, words: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    colours = themes()[theme]
    bright, dim = sorted(map(luminance, (colours[words], colours["paper"])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5
