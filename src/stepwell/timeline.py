"""The staircase of a run as a page shows it: curves, steps, and pictures beside each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.interfaces import Batch, StepwellError, UsageError, concatenate
from stepwell.kit.files import held, lock_of
from stepwell.kit.folders import scratch_of
from stepwell.kit.hashing import drawn
from stepwell.labels import label_source
from stepwell.run import Run
from stepwell.staircase.detect import FEWEST, Step
from stepwell.staircase.explain import Explanation
from stepwell.staircase.forecast import next_step, words
from stepwell.staircase.orders import GRADIENT, WHITENED, together
from stepwell.staircase.records import SAMPLES, Spectra, read_spectra
from stepwell.stepping import CHANGES, Sight, steps_of

SHOWN, ENDS, DRAWN = 6, 3, 12
"""Steps with pictures (as many as there are colours), examples at an end, curves."""
EXPLAINED, LABELLED = 240, 2000
"""Examples that dimensions are explained on, drawn by hash."""
FEW = 20
"""Of fewer examples than so many nothing is said."""
CLOCKS = {
    GRADIENT: "Plain gradient descent on the run's features (γ of Γ); its first is due at 1",
    WHITENED: "On whitened features, the run's own dimensions (λ of Γ̃); its first is due at 1",
    SAMPLES: "As it was trained; time in samples",
}
TITLES = {
    GRADIENT: (
        "By size times agreement: plain gradient descent",
        "What gradient descent from small weights on the same features would learn, in the "
        "order in which it would: large differences first (by γ of Γ). This is not the order "
        "of the dimensions above. Seen on fresh views, plateaus lie near 1, not at it.",
    ),
    WHITENED: (
        "By agreement alone: the order of this encoder's own dimensions",
        "The same on whitened features: what paired views agree on most comes first, however "
        "small it is (by λ of Γ̃). Where views agree on many things about equally, these come "
        "almost at once, and which is first is not told.",
    ),
}
TRAINED = (
    "As it was trained",
    "Eigenvalues of the covariance of the network's projections on a fixed set of views, over "
    "the samples seen. The dimensions below are of the features that came of it.",
)
Pictures = Callable[[Sequence[str]], list[dict[str, Any]]]


def clocks_of(run: Run) -> dict[str, Spectra]:
    """Records of a run by their clock; none for runs of before they were written."""
    path = run.path / "steps.jsonl"
    return read_spectra(path) if path.is_file() else {}


def staircase(run: Run, sight: Sight | None, pictures: Pictures) -> list[dict[str, Any]]:
    """Both orders, for a page; ``pictures`` are made from ids."""
    shown: list[dict[str, Any]] = []
    known_clocks = clocks_of(run)
    if SAMPLES in known_clocks and len(known_clocks[SAMPLES].times) >= FEWEST:
        spectra = known_clocks[SAMPLES]
        title, lead = TRAINED
        chart = chart_of(spectra, steps_of(spectra))
        shown.append({"title": title, "lead": lead, "steps": [], "chart": chart})
    for clock in (clock for clock in TITLES if clock in known_clocks):
        (title, lead), spectra = TITLES[clock], known_clocks[clock]
        steps, known = steps_of(spectra), sight.explained(clock) if sight else []
        labels, colours = labelled(clock, steps), _colours(steps)
        rows = [
            {"index": labels[i], "time": _when(step), "colour": colours[i], "notes": []}
            | (_seen(step.index, clock, sight, known, pictures) if sight else {})
            for i, step in enumerate(steps[:SHOWN])
        ]
        chart = chart_of(spectra, steps)
        shown.append({"title": title, "lead": lead, "steps": rows, "chart": chart})
    return shown


def labelled(clock: str, steps: Sequence[Step]) -> list[str]:
    """A number for each step; those that come almost at once share theirs: ``2–4``."""
    if clock == SAMPLES or not steps:
        return [str(number) for number in range(1, len(steps) + 1)]
    group = together(np.sort([step.time for step in steps]))
    first, last = (np.searchsorted(group, group, side) for side in ("left", "right"))
    return [f"{a + 1}" if a + 1 == b else f"{a + 1}–{b}" for a, b in zip(first, last, strict=True)]


def _colours(steps: Sequence[Step]) -> list[int]:
    """The curve of each step: sorted eigenvalues rise in the order of time."""
    times = np.array([step.time for step in steps])
    return np.argsort(np.argsort(times, kind="stable"), kind="stable").tolist()


def _when(step: Step) -> str:
    return f"dimension {step.index + 1} · at {step.time:.3g}"


def _seen(
    index: int, clock: str, sight: Sight, known: Sequence[Explanation], pictures: Pictures
) -> dict[str, Any]:
    return {
        "notes": notes(known[index]),
        "pictures": pictures(sight.ends(clock, index, ENDS)),
        "where": sight.where(clock, index),
    }


def chart_of(spectra: Spectra, steps: Sequence[Step]) -> dict[str, Any]:
    """Eigenvalues over time with the steps marked."""
    unit = "samples" if spectra.clock == SAMPLES else "time, in units of the first step"
    seen = spectra.times[spectra.times > 0]
    wide = bool(seen[-1] > 10 * seen[0])
    labels, colours = labelled(spectra.clock, steps), _colours(steps)
    return {
        "title": "Eigenvalues of the embedding",
        "x_label": f"{unit}{' (log)' if wide else ''}",
        "y_label": "eigenvalue",
        "log_x": wide,
        "marks": [
            {
                "x": step.time,
                "name": labels[i],
                "title": f"dimension {step.index + 1}",
                "colour": colours[i],
            }
            for i, step in enumerate(steps[:SHOWN])
        ],
        "lines": [
            {
                "name": f"dimension {index + 1}",
                "x": spectra.times.tolist(),
                "y": np.maximum(column, 0).tolist(),
                "colour": index,
                "kind": "measured" if index < SHOWN else "faint",
            }
            for index, column in enumerate(spectra.shown.T[:DRAWN])
        ],
    }


def notes(found: Explanation) -> list[str]:
    """What is known about a dimension, a line each."""
    said = [found.words] if found.words else []
    if found.flips:
        said.append(f"turned by {', '.join(found.flips)}")
    if found.keeps and len(found.keeps) < len(CHANGES):
        said.append(f"blind to {', '.join(found.keeps)}")
    return said


def whole(run: Run, labels: Any = None) -> list[dict[str, Any]]:
    """Steps of a finished run as plain rows, explained where its data is still there."""
    sight, told = _sight(run), _told(run, labels) if labels is not None else {}
    rows = []
    clocks = clocks_of(run)
    for clock in sorted(clocks, key=[*TITLES, SAMPLES].index):
        seen = sight.explained(clock) if sight and clock in TITLES else []
        same = sight.related() if sight and clock == GRADIENT else []
        steps = steps_of(clocks[clock]) if len(clocks[clock].times) >= FEWEST else []
        for row, step in zip(plain(clock, steps), steps, strict=True):
            if sight and step.index < len(seen):
                found = seen[step.index]
                row |= _ends(sight, clock, step.index)
                row |= {"sees": found.words, "blind_to": found.keeps, "turned_by": found.flips}
            if step.index < len(told.get(clock, ())):
                row["bits"] = float(told[clock][step.index])
            if step.index < len(same):
                row["own_dimension"], row["own_r"] = same[step.index][0] + 1, same[step.index][1]
            rows.append(row)
    return rows


def _ends(sight: Sight, clock: str, mode: int) -> dict[str, Any]:
    ends = sight.ends(clock, mode, ENDS)
    return {"low": ends[:ENDS], "high": ends[ENDS:], "where": sight.where(clock, mode)}


def explained_on(ids: Sequence[str]) -> NDArray[np.intp]:
    """Places of the examples that dimensions are explained on: drawn at random, as
    correlations among the ends of dimensions would flatter."""
    return drawn(0, ids, EXPLAINED)


def _sight(run: Run) -> Sight | None:
    """Eyes on a few of a run's examples; None where they are gone."""
    names = [str(name) for name in run.index[0]]
    try:
        parts = list(
            run.own_source().batches(run.chunk, ids={names[i] for i in explained_on(names)})
        )
    except (StepwellError, OSError):
        parts = []
    return sight_of(run, concatenate(parts) if parts else None)


def _told(run: Run, labels: Any) -> dict[str, NDArray[np.float64]]:
    """By order: what each dimension tells about labels, in bits."""
    source, known, _ = label_source(run, labels)
    names = sorted(known)
    wanted = {names[i] for i in drawn(0, names, LABELLED)}
    parts = list(source.batches(run.chunk, ids=wanted))
    if not parts or sum(map(len, parts)) < FEW:
        raise StepwellError(
            f"Expected at least {FEW} labelled examples that can be read, found "
            f"{sum(map(len, parts))}: give more labels."
        )
    sight = Sight(run, concatenate(parts))
    theirs = [known[str(i)] for i in sight.ids]
    return {clock: sight.told(clock, theirs) for clock in sight.clocks}


def sight_of(run: Run, batch: Batch | None) -> Sight | None:
    """What dimensions see on a batch; None where it is gone, or too small to say anything."""
    return Sight(run, batch) if batch is not None and len(batch) >= FEW else None


def plain(clock: str, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps of one clock as plain rows."""
    labels = labelled(clock, steps)
    return [
        {
            "step": number,
            "label": labels[number - 1],
            "clock": clock,
            "dimension": step.index + 1,
            "time": step.time,
            "begin": step.begin,
            "end": step.end,
            "size": step.size,
            "confidence": step.confidence,
        }
        for number, step in enumerate(steps, 1)
    ]


def log_of(path: Path) -> Path | None:
    """The ``steps.jsonl`` of a run that is being learned, else of a run, else what is left of
    one that was stopped."""
    if path.is_file():
        return path
    unfinished = scratch_of(path.absolute())
    for folder in (*unfinished, path) if goes_on(path) else (path, *unfinished):
        if (folder / "steps.jsonl").is_file():
            return folder / "steps.jsonl"
    return None


def goes_on(path: Path) -> bool:
    """Whether a run of this name is being learned."""
    return held(lock_of(path.absolute()))


def live(path: Path) -> dict[str, Any]:
    """What can be told of a log so far: its steps and the next one.

    Raises
    ------
    UsageError
        If there is no log.
    StepwellError
        If there is no spectrum in it, and nobody who would still write one.
    """
    log = log_of(path)
    if log is None:
        raise UsageError(
            f"Expected a run, or a folder with a steps.jsonl, found neither at {path}: "
            f"`stepwell learn SRC --out RUN` makes one."
        )
    known = read_spectra(log)
    if not known and not goes_on(path):
        raise StepwellError(
            f"Expected spectra in {log}, found none: it was stopped before any was written, or "
            f"is of before they were. Learn again."
        )
    rows: list[dict[str, Any]] = []
    ahead = "no spectrum yet"
    for clock, spectra in known.items():
        if len(spectra.times) < FEWEST:
            continue
        rows += plain(clock, steps_of(spectra))
        if clock == SAMPLES:
            now, seconds = float(spectra.times[-1]), float(spectra.seconds[-1])
            speed = now / seconds if seconds > 0 else 0.0
            ahead = words(next_step(spectra.times, spectra.shown), now, speed)
        else:
            ahead = "computed in closed form: all steps are known"
    return {"steps": rows, "next": ahead}
