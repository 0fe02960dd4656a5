"""One self-contained HTML page from a summary dict: opens offline, asks for nothing.

``render`` makes the page; ``picture_of`` and its kin make the pictures that go into it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from stepwell.kit.escape import for_page
from stepwell.report.pictures import image_html, picture_of, series_html, text_html

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = [
    "image_html",
    "picture_of",
    "render",
    "render_labelling",
    "render_theory",
    "series_html",
    "text_html",
]


def render(summary: Mapping[str, Any]) -> str:
    """The report page.

    Parameters
    ----------
    summary : mapping
        ``title``, ``version``, ``created``, ``warnings`` and the sections ``verdict``,
        ``modes``, ``staircase``, ``scores``, ``curves``, ``spectrum``, ``neighbours``,
        ``map``, ``data``, ``views``, ``recipe``, ``next``. Each may be missing or None and
        is then left out.
        Strings are plain text; only the ``html`` of a picture is trusted markup.

    Returns
    -------
    str
        HTML that can be written as UTF-8. It holds its own style, script and pictures, and
        a content security policy that forbids everything else.
    """
    from markupsafe import Markup

    from stepwell.report.sections import built, glance, prose
    from stepwell.report.wells import mark, well

    script = _text("script.js")
    depth = summary.get("spectrum") or {}
    eigenvalues, kept = depth.get("eigenvalues"), depth.get("kept")
    page = _template("page.html.j2").render(
        title=summary.get("title") or "report",
        version=summary.get("version"),
        created=summary.get("created"),
        warnings=[prose(warning) for warning in summary.get("warnings") or ()],
        glance=glance(summary),
        mark=Markup(mark()),
        well=Markup(well([] if eigenvalues is None else eigenvalues, kept)),
        style=Markup(_text("style.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **{"next_steps" if k == "next" else k: v for k, v in built(summary).items()},
    )
    return _writable(page)


def render_theory(summary: Mapping[str, Any]) -> str:
    """The page of ``stepwell theory``: figures, each with charts and maybe a table.

    Parameters
    ----------
    summary : mapping
        ``title``, ``lead`` (lines), ``version``, ``created``, ``warnings``, ``figures``: of
        each ``id``, ``title``, ``text``, ``charts`` (:func:`stepwell.report.plots.plot`),
        ``table`` (rows, the first of them its head).
    """
    from markupsafe import Markup

    from stepwell.report.plots import plot
    from stepwell.report.wells import mark

    figures = [
        {
            "table": None,
            **figure,
            "charts": [chart | {"drawn": Markup(plot(chart))} for chart in figure["charts"]],
        }
        for figure in summary["figures"]
    ]
    page = _template("theory.html.j2").render(
        **{**summary, "figures": figures},
        mark=Markup(mark()),
        style=Markup(_text("style.css")),
    )
    return _writable(page)


def render_labelling(summary: Mapping[str, Any]) -> str:
    """A page to label examples on, which saves a CSV of ``file,label``.

    Parameters
    ----------
    summary : mapping
        ``title``, ``version``, ``run`` (its path), ``classes`` there are, ``known`` (pairs of file
        and label), ``cards``: of each ``html`` (trusted markup), ``id``.
    """
    from markupsafe import Markup

    from stepwell.report.wells import mark

    script = _text("labelling.js")
    cards = [card | {"file": card["id"], "html": Markup(card["html"])} for card in summary["cards"]]
    page = _template("labelling.html.j2").render(
        **{**summary, "cards": cards},
        mark=Markup(mark()),
        style=Markup(_text("style.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return _writable(page)


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


@lru_cache
def _template(name: str) -> Template:
    # Late, so that the command line starts without it.
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)


def _writable(text: str) -> str:
    """Text without what HTML or UTF-8 can't hold, NUL and halves of surrogate pairs, and with
    control characters as signs."""
    raw = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return for_page(raw.replace("\0", "\N{REPLACEMENT CHARACTER}"))
