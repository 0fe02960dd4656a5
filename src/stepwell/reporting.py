"""From a run to the summary that the report room draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.album import Album
from stepwell.apply.search import nearest
from stepwell.evaluate.layout import spread_map
from stepwell.heads import curve_of
from stepwell.interfaces import Batch, StepwellError
from stepwell.kit.files import write_atomic
from stepwell.kit.parts import toml
from stepwell.pretexts.tokens import Next, Parallel
from stepwell.report import render, render_labelling
from stepwell.report.figures import score_bars, score_curves
from stepwell.report.pictures import picture_of, text_html
from stepwell.run import Run
from stepwell.runfile import source_told, trained_on
from stepwell.scoring import read_scores
from stepwell.staircase.orders import WHITENED
from stepwell.timeline import explained_on, sight_of, staircase

MODES, ENDS, QUERIES, HITS, MAPPED, THUMBNAILS = 12, 6, 6, 8, 1500, 400
FEW_EPOCHS = 3
"""A network that saw its examples less often has hardly begun."""


def write_report(run: Run, src: Any = None) -> Path:
    """Write ``report.html`` of a run; pictures come from its source, or from ``src``.

    Raises
    ------
    StepwellError
        If the pictures are gone, and the page that is there may still have them.
    """
    path = run.path / "report.html"
    write_atomic(path, render(summarise(run, src, bare=not path.is_file())))
    return path


def summarise(run: Run, src: Any = None, *, bare: bool = True) -> dict[str, Any]:
    """Everything the page says, as plain values and picture markup.

    ``bare``: without pictures, if need be; else StepwellError where the data is gone.
    """
    ids, embeddings = run.index
    rng = np.random.default_rng(0)
    ends = mode_ends(embeddings[:, : run.map.modes])
    queries = rng.permutation(len(ids))[:QUERIES]
    hits = _hits(embeddings, queries)
    mapped = np.sort(rng.permutation(len(ids))[:MAPPED])
    thumbs = rng.permutation(mapped)[:THUMBNAILS]
    drawn = explained_on([str(i) for i in ids])
    shown = {
        int(i)
        for rows in (*ends.values(), queries, *(near for near, _ in hits), thumbs, drawn)
        for i in np.ravel(rows)
    }
    album = Album(run, src, ids, shown)
    if album.batch is None and not bare:
        where = src or source_told(run.config["source"]).get("path", "its place")
        raise StepwellError(
            f"Expected the data of this run at {where}, found none of it there: the page stays "
            f"as it is. Say where the data is now: stepwell report {run.path} --src PATH, or "
            f"run.report(data)."
        )
    scores = read_scores(run)
    config = run.config
    sight = sight_of(run, album.batch_of(drawn))
    words = [found.words for found in sight.explained(WHITENED)] if sight else []
    place = {str(ids[i]): int(i) for i in drawn}
    return {
        "title": config["source"]["name"],
        "version": config["versions"]["stepwell"],
        "created": config["created"][:16].replace("T", " "),
        "verdict": scores.get("verdict"),
        "warnings": warnings(config),
        "data": {
            "facts": _data_facts(config, album.batch),
            "samples": [album.picture(i) for i in thumbs[:48]],
            "skipped": config.get("skipped", [])[:50],
            "skipped_total": config["data"]["skipped"],
        },
        "views": _views(run, album),
        "modes": _modes(run, ends, album, words),
        "staircase": staircase(run, sight, lambda names: [album.picture(place[n]) for n in names]),
        "phases": {"rows": run.phases, "tried": config["choice"].get("tried", [])},
        "spectrum": {
            "eigenvalues": [float(v) for v in run.map.values],
            "noise": float(config["choice"]["noise"]),
            "kept": run.map.modes,
        },
        "neighbours": [
            {
                "query": album.picture(q),
                "hits": [album.picture(i, s) for i, s in zip(*hit, strict=True)],
            }
            for q, hit in zip(queries, hits, strict=True)
        ],
        "map": _map(embeddings, ids, mapped, {int(i) for i in thumbs}, album),
        "answers": run.answers,
        "scores": score_bars(scores),
        "curves": score_curves(scores | {"curve": curve_of(run)}),
        "recipe": _recipe(run),
        "next": next_commands(run, str(ids[queries[0]])),
    }


def mode_ends(embeddings: NDArray) -> dict[int, NDArray[np.intp]]:
    """For each of the first modes: the examples at its low end, then at its high end."""
    ends = {}
    for mode in range(min(MODES, embeddings.shape[1])):
        column = embeddings[:, mode].astype(np.float32)
        order = np.argsort(column, kind="stable")
        ends[mode] = np.concatenate([order[:ENDS], order[::-1][:ENDS]])
    return ends


def _hits(embeddings: NDArray, queries: NDArray) -> list[tuple[NDArray[np.intp], NDArray]]:
    """Neighbours of each query but itself, and their cosines."""
    found = []
    for query in queries:
        rows, cosine = nearest(embeddings, embeddings[query].astype(np.float32), HITS + 1)
        others = rows != query
        found.append((rows[others][:HITS], cosine[others][:HITS]))
    return found


def warnings(config: dict) -> list[str]:
    """What a reader should know before believing the rest, a sentence each."""
    found = []
    data, asked = config["data"], config["learn"].get("budget", 0)
    if data["skipped"]:
        many = "1 example" if data["skipped"] == 1 else f"{data['skipped']:,} examples"
        found.append(f"{many} could not be read: set aside.")
    if any(row["reason"].startswith("no UTF-8") for row in config.get("skipped", ())):
        found.append("Some are not in UTF-8: save them so (iconv -f latin1 -t utf-8, for one).")
    copies = data["examples"] - data["distinct"]
    if copies > 0.01 * data["examples"]:
        found.append(f"{copies:,} examples are exact copies of others: they count twice.")
    if data["examples"] < 500:
        found.append("Fewer than 500 examples: figures are rough, and more data would help.")
    if config["learn"].get("share", 1) < 1:
        found.append(
            f"Learned from {config['learn']['share']:.0%} of the data, as the budget said."
        )
    epochs = config.get("train", {}).get("samples", 1e9) / max(data["examples"], 1)
    if epochs < FEW_EPOCHS:
        closed = config["train"].get("pretext") == config["learn"]["pretext"]
        rest = ", or leave --engine gradient out" if closed else ""
        found.append(
            f"The network saw each example {epochs:.1f} times, which teaches little: give it more "
            f"time (--budget, --samples){rest}."
        )
    for row in config.get("train", {}).get("regulated", [])[:3]:
        found.append(
            f"Training looked after itself at step {row['step']:,}: {row['kind']} ({row['why']}); "
            f"{row['did']}."
        )
    if asked and config["cost"]["seconds"] > 1.1 * asked:
        found.append(
            f"It took {duration(config['cost']['seconds'])} instead of {duration(asked)}: reading "
            f"founders, fitting and solving have to be paid for in any case."
        )
    return found


def _data_facts(config: dict, batch: Batch | None) -> list[list[str]]:
    facts = [
        ["examples", f"{config['data']['examples']:,}"],
        ["founders", f"{config['data']['founders']:,}"],
    ]
    if batch is not None and "image" in batch.data:
        height, width, channels = np.asarray(batch.data["image"]).shape[1:]
        facts.append(["read at", f"{height} × {width} pixels, {channels} channels"])
    if config["data"]["skipped"]:
        facts.append(["set aside", f"{config['data']['skipped']:,}"])
    return facts


def _views(run: Run, album: Album) -> dict[str, Any] | None:
    rows = run.config.get("views", [])
    if not rows:
        return None
    note = (
        "A view may be learned from if it stays nearer to its own example than that example's "
        "nearest neighbour is (kept), nearly as often as after a shift that changes nothing."
    )
    shown = []
    for row in rows:
        shown.append(
            {"retrieval": None, **row, "pictures": view_pictures(row["name"], album.batch)}
        )
    return {"rows": shown, "note": note}


def view_pictures(name: str, batch: Batch | None, count: int = 5) -> list[dict[str, Any]]:
    """A few examples seen through a view."""
    from stepwell.views import RECIPES, VIEWS, parse, pictures, render

    if batch is None or "image" not in batch.data or name not in {*RECIPES, *VIEWS}:
        return []
    views = parse(f"{name}:1" if name == "flip" else name)
    seen = render(batch.take(slice(0, count)), views, 0)
    seen = seen.with_data(image=pictures(seen.data["image"]))
    return [{"html": picture_of(seen, i), "id": str(seen.ids[i])} for i in range(len(seen))]


def _modes(
    run: Run, ends: dict[int, NDArray], album: Album, notes: Sequence[str]
) -> list[dict[str, Any]]:
    look = getattr(run.encoder, "attention", None)
    found = []
    for mode, rows in ends.items():
        low, high = rows[:ENDS], rows[ENDS:]
        direction = np.asarray(run.map.vectors[:, mode])
        found.append(
            {
                "index": mode + 1,
                "eigenvalue": float(run.map.values[mode]),
                "low": [album.picture(i) for i in low],
                "high": [album.picture(i) for i in high],
                "where": look(direction).tolist() if look else None,
                "note": notes[mode] if mode < len(notes) else "",
            }
        )
    return found


def _map(
    embeddings: NDArray, ids: NDArray, mapped: NDArray, thumbs: set[int], album: Album
) -> dict[str, Any]:
    x, y = spread_map(embeddings[mapped].astype(np.float32))
    return {
        "x": [round(float(v), 4) for v in x],
        "y": [round(float(v), 4) for v in y],
        "ids": [str(ids[i]) for i in mapped],
        "pictures": [album.picture(i) if int(i) in thumbs else None for i in mapped],
        "label": [None] * len(mapped),
    }


def _recipe(run: Run) -> dict[str, Any]:
    config = run.config
    cost, trained = config["cost"], trained_on(config)
    facts = [
        ["time, without this page", duration(cost["seconds"])],
        *([["network", trained]] if trained else []),
        ["CPU time", duration(cost["cpu_seconds"])],
        ["peak memory", f"{cost['peak_mb']:,.0f} MB"],
        ["energy, estimated", f"{cost['energy_wh']:.2f} Wh"],
    ]
    shown = {k: config[k] for k in ("learn", "train", "choice", "data") if config.get(k)}
    shown["source"] = source_told(config["source"])
    return {"facts": facts, "config": toml(shown), "versions": list(config["versions"].items())}


def duration(seconds: float) -> str:
    """``1 min 12 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if math.floor(seconds / 60) < 90:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{seconds / 3600:.1f} h"


def next_commands(run: Run, example: str) -> list[dict[str, str]]:
    """What a reader would type next."""
    import shlex

    name = shlex.quote(_short(run.path))
    told = source_told(run.config["source"])
    source = shlex.quote(told.get("path") or "SRC")
    taught = run.config.get("train", {}).get("pretext")
    first = {
        Parallel.name: {"command": f'stepwell translate {name} "…"', "what": "its translation"},
        Next.name: {"command": f'stepwell generate {name} --prompt "…"', "what": "what follows"},
    }
    return [
        *([first[taught]] if taught in first else []),
        {"command": f"stepwell search {name} {shlex.quote(example)} -n 10", "what": "similar ones"},
        {
            "command": f"stepwell suggest {name} --n 20 --out labels.csv",
            "what": "which examples to label first: a CSV to fill in, for finetune and evaluate",
        },
        {
            "command": f"stepwell evaluate {name} --labels labels.csv",
            "what": "judge it with a few labels (CSV: file,label; or a folder a class)",
        },
        {"command": f"stepwell steps {name}", "what": "what each step of learning sees, in words"},
        {
            "command": f"stepwell embed {name} {source} --out embeddings.parquet",
            "what": "vectors for your own tools",
        },
    ]


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def write_search_page(run: Run, query: str, rows: list[dict[str, Any]], path: Path) -> None:
    """A page with the pictures of a search."""
    ids = np.array([row["id"] for row in rows])
    album = Album(run, None, ids, range(len(ids)))
    hits = [album.picture(i, row["cosine"]) for i, row in enumerate(rows)]
    asked = hits[0] if rows and rows[0]["id"] == query else {"html": "", "id": query}
    found = [hit for hit in hits if hit is not asked]
    summary = {
        "title": f"Similar to {query}",
        "version": run.config["versions"]["stepwell"],
        "created": run.config["created"][:16].replace("T", " "),
        "neighbours": [{"query": asked, "hits": found}],
    }
    write_atomic(path, render(summary))


def write_labelling_page(
    run: Run, rows: list[dict[str, Any]], known: Mapping[str, str], path: Path
) -> None:
    """A page to label suggested examples on, beside the labels there are."""
    ids = np.array([row["id"] for row in rows])
    album = Album(run, None, ids, range(len(ids)))
    texts = {row["id"]: row["text"] for row in rows if "text" in row}
    cards = [album.picture(i) for i in range(len(rows))]
    for card in cards:
        card["html"] = card["html"] or text_html(texts.get(card["id"], card["id"]))
    summary = {
        "title": f"{len(rows)} examples to label",
        "version": run.config["versions"]["stepwell"],
        "run": str(run.path),
        "classes": sorted(set(known.values())),
        "known": list(known.items()),
        "cards": cards,
    }
    write_atomic(path, render_labelling(summary))


__all__ = ["summarise", "write_labelling_page", "write_report", "write_search_page"]
