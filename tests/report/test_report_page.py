"""The page as text: whole, self-contained, safe, and graceful where things are missing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from stepwell.report import render, text_html

VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 1">',
    "{{ 7 * 7 }}{% raw %}",
    "line\nbreak \u2028 \u2029 \0 \ud800 🜁 ‮ txt",
    "' onmouseover='window.pwned = 1",
    "x" * 500,
    "<!-- <script>",
)


class Page(HTMLParser):
    """Elements with their attributes; complains about what doesn't nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> inside <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)
        else:
            self.words.append(data)

    def ids(self) -> set[str]:
        return {str(attrs["id"]) for _, attrs in self.tags if "id" in attrs}

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


SECTIONS = {
    "modes": "learned",
    "scores": "scores",
    "curves": "curves",
    "spectrum": "spectrum",
    "neighbours": "alike",
    "map": "map",
    "data": "data",
    "views": "views",
    "recipe": "recipe",
    "next": "next",
}


def test_a_full_summary_shows_everything(summary: dict[str, Any]) -> None:
    page = Page(render(summary))
    assert set(SECTIONS.values()) <= page.ids()
    for words in (
        "It learned, and is better than every control.",
        "A clear gain",
        "3 files could not be read.",
        "90.0",
        "best of the others",
        "≈ brightness (r = .81)",
        "2 more steps",
        "140 kept",
        "noise level 0.12",
        "3 set aside",
        "and 2 more.",
        "left out",
        "stepwell search runs/digits a.png",
    ):
        assert words in page.text, words


def test_backticks_become_code(summary: dict[str, Any]) -> None:
    assert "<code>stepwell evaluate</code>" in render(summary)


def test_contents_lead_to_sections_that_exist(summary: dict[str, Any]) -> None:
    page = Page(render(summary))
    targets = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert targets == set(SECTIONS.values())
    assert targets <= page.ids()


def test_nothing_is_fetched(summary: dict[str, Any]) -> None:
    text = render(summary)
    for tag, attrs in Page(text).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_the_policy_knows_the_script(summary: dict[str, Any]) -> None:
    import base64
    import hashlib

    text = render(summary)
    script = re.search(r"<script>(.*?)</script>\s*</body>", text, re.S)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in text


@pytest.mark.parametrize("missing", [*SECTIONS, "verdict", "warnings", "title", "version"])
@pytest.mark.parametrize("how", ["absent", "none"])
def test_every_section_can_be_missing(summary: dict[str, Any], missing: str, how: str) -> None:
    if how == "absent":
        del summary[missing]
    else:
        summary[missing] = None
    page = Page(render(summary))
    gone = SECTIONS.get(missing)
    assert gone not in page.ids()
    assert {s for s in SECTIONS.values() if s != gone} <= page.ids()
    assert "None" not in page.text


def test_an_empty_summary_is_a_page() -> None:
    page = Page(render({}))
    assert "report" in page.text
    assert not page.ids() & set(SECTIONS.values())


def test_sections_with_nothing_in_them() -> None:
    empty = {
        "verdict": {"sentence": "Nothing was measured."},
        "data": {"facts": [], "samples": []},
        "modes": [],
        "scores": [{"name": "kNN", "rows": []}],
        "curves": [],
        "spectrum": {"eigenvalues": np.zeros(0)},
        "neighbours": [],
        "map": {"x": [], "y": []},
        "views": {"rows": []},
        "recipe": {"facts": None},
        "next": [],
        "warnings": [],
    }
    page = Page(render(empty))
    assert "Not measured" in page.text
    assert "scores" not in page.ids()


@pytest.mark.parametrize("tone", ["good", "mixed", "bad", "unknown", "<odd>"])
def test_every_tone_has_words(summary: dict[str, Any], tone: str) -> None:
    summary["verdict"]["tone"] = tone
    known = {"good": "A clear gain", "mixed": "No clear gain", "bad": "No gain"}
    assert known.get(tone, "Not measured") in Page(render(summary)).text


def _poisoned(value: Any, text: str) -> Any:
    """The summary with ``text`` in place of every string but markup, keys and roles."""
    if isinstance(value, dict):
        keep = ("html", "tone", "role", "unit")
        return {k: v if k in keep else _poisoned(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [_poisoned(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_stay_text(summary: dict[str, Any], text: str) -> None:
    clean, poisoned = Page(render(summary)), Page(render(_poisoned(summary, text)))
    count = lambda page, tag: sum(t == tag for t, _ in page.tags)  # noqa: E731
    assert count(poisoned, "script") == count(clean, "script") == 2
    assert count(poisoned, "img") == count(clean, "img")
    for _, attrs in poisoned.tags:
        assert not any(name.startswith("on") for name in attrs)
    render(_poisoned(summary, text)).encode("utf-8")


def test_ids_survive_the_script_element(summary: dict[str, Any]) -> None:
    ids = [f"{text}{i}" for i in range(50) for text in HOSTILE if "\ud800" not in text][:300]
    summary["map"]["ids"] = ids
    page = Page(render(summary))
    index = next(json.loads(s) for s in page.scripts if s.startswith("{"))
    assert index["ids"] == ids
    assert len(index["x"]) == len(index["picture"]) == 300


def test_map_pictures_that_the_page_has_are_not_repeated(summary: dict[str, Any]) -> None:
    text = render(summary)
    shared = summary["data"]["samples"][1]["html"]
    index = next(json.loads(s) for s in Page(text).scripts if s.startswith("{"))
    assert shared not in index["extra"]
    number = index["picture"][1]
    assert f'data-picture="{number}"' in text
    assert len(set(index["extra"])) == len(index["extra"])


def test_columns_of_the_map_may_be_short(summary: dict[str, Any]) -> None:
    summary["map"] |= {"pictures": None, "ids": ["only one"], "label": None}
    index = next(json.loads(s) for s in Page(render(summary)).scripts if s.startswith("{"))
    assert index["ids"][:2] == ["only one", ""]
    assert index["label"] is None


def test_texts_as_pictures(summary: dict[str, Any]) -> None:
    picture = {"html": text_html("a <b> c"), "id": "t.csv#row=7"}
    summary["data"]["samples"] = [picture] * 4
    text = render(summary)
    assert "of-text samples" in text
    assert "a &lt;b&gt; c" in text


def test_same_summary_same_page(summary: dict[str, Any]) -> None:
    assert render(summary) == render(summary)


def test_jinja_is_not_needed_to_import() -> None:
    import subprocess
    import sys

    code = "import stepwell.report, sys; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
