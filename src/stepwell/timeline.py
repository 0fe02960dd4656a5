"""The staircase of a run as a page shows it: curves, steps, and pictures beside each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.interfaces import Batch, StepwellError, UsageError, concatenate
from stepwell.kit.files import held, lock_of, scratch_of
from stepwell.kit.hashing import drawn
from stepwell.labels import label_source
from stepwell.run import Run
from stepwell.staircase.detect import FEWEST, Step
from stepwell.staircase.explain import Explanation
from stepwell.staircase.forecast import next_step, words
from stepwell.staircase.orders import GRADIENT, WHITENED
from stepwell.staircase.records import SAMPLES, Spectra, read_spectra
from stepwell.stepping import CHANGES, Sight, steps_of

SHOWN, ENDS, DRAWN = 6, 3, 12
"""Steps with pictures (as many as there are colours), examples at an end, curves."""
EXPLAINED, LABELLED = 240, 2000
"""Examples that dimensions are explained on, drawn by hash."""
FEW = 20
"""Of fewer examples than so many nothing is said."""
CLOCKS = {
    GRADIENT: "Plain gradient descent on the run's features (γ of Γ); time in units of step 1",
    WHITENED: "On whitened features, the run's own dimensions (λ of Γ̃); time in units of step 1",
    SAMPLES: "As it was trained; time in samples",
}
TITLES = {
    GRADIENT: (
        "By size times agreement: plain gradient descent",
        "What gradient descent from small weights on the same features would learn, in the "
        "order in which it would: large differences first (by γ of Γ). This is not the order "
        "of the dimensions above.",
    ),
    WHITENED: (
        "By agreement alone: the order of this encoder's own dimensions",
        "The same on whitened features: what paired views agree on most comes first, however "
        "small it is (by λ of Γ̃). Where views agree on many things about equally, these come "
        "almost at once, and which is first is not told.",
    ),
}
Pictures = Callable[[Sequence[str]], list[dict[str, Any]]]


def clocks_of(run: Run) -> dict[str, Spectra]:
    """Records of a run by their clock; none for runs of before they were written."""
    path = run.path / "steps.jsonl"
    return read_spectra(path) if path.is_file() else {}


def staircase(run: Run, sight: Sight | None, pictures: Pictures) -> list[dict[str, Any]]:
    """Both orders, for a page; ``pictures`` are made from ids."""
    shown = []
    known_clocks = clocks_of(run)
    for clock in (clock for clock in TITLES if clock in known_clocks):
        (title, lead), spectra = TITLES[clock], known_clocks[clock]
        steps, known = steps_of(spectra), sight.explained(clock) if sight else []
        rows = [
            {"index": number, "time": _when(step), "colour": number - 1, "notes": []}
            | (_seen(step.index, clock, sight, known, pictures) if sight else {})
            for number, step in enumerate(steps[:SHOWN], 1)
        ]
        chart = chart_of(spectra, steps)
        shown.append({"title": title, "lead": lead, "steps": rows, "chart": chart})
    return shown


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
    return {
        "title": "Eigenvalues of the embedding",
        "x_label": f"{unit}{' (log)' if wide else ''}",
        "y_label": "eigenvalue",
        "log_x": wide,
        "marks": [
            {
                "x": step.time,
                "name": number,
                "title": f"dimension {step.index + 1}",
                "colour": number - 1,
            }
            for number, step in enumerate(steps[:SHOWN], 1)
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
    if np.isfinite(found.bits):
        said.append(f"tells {found.bits:.2f} bits about the label")
    return said


def whole(run: Run, labels: Any = None) -> list[dict[str, Any]]:
    """Steps of a finished run as plain rows, explained where its data is still there."""
    sight, known_labels = _sight(run, labels)
    rows = []
    for clock, spectra in clocks_of(run).items():
        seen = sight.explained(clock, known_labels) if sight and clock in TITLES else []
        same = sight.related() if sight and clock == GRADIENT else []
        steps = steps_of(spectra)
        for row, step in zip(plain(clock, steps), steps, strict=True):
            if step.index < len(seen):
                found = seen[step.index]
                row |= _ends(sight, clock, step.index) if sight else {}
                row |= {"sees": found.words, "blind_to": found.keeps, "turned_by": found.flips}
                row |= {"bits": found.bits} if labels is not None else {}
            if step.index < len(same):
                row["own_dimension"], row["own_r"] = same[step.index][0] + 1, same[step.index][1]
            rows.append(row)
    return rows


def _ends(sight: Sight, clock: str, mode: int) -> dict[str, Any]:
    ends = sight.ends(clock, mode, ENDS)
    return {"low": ends[:ENDS], "high": ends[ENDS:], "where": sight.where(clock, mode)}


def _sight(run: Run, labels: Any) -> tuple[Sight | None, list[str] | None]:
    """Eyes on a few examples drawn by hash; where labels are given, on labelled ones."""
    known = None
    if labels is not None:
        source, known, _ = label_source(run, labels)
        names = sorted(known)
    else:
        source, names = None, [str(name) for name in run.index[0]]
    count = EXPLAINED if known is None else LABELLED
    wanted = {names[i] for i in drawn(0, names, count)}
    try:
        source = source or run.own_source()
        parts = list(source.batches(run.chunk, ids=wanted))
    except (StepwellError, OSError):
        if labels is not None:
            raise
        parts = []
    if not parts and labels is not None:
        raise StepwellError("Expected labelled examples that can be read, found none of them.")
    batch = concatenate(parts) if parts else None
    sight = sight_of(run, batch)
    if sight is None or known is None:
        return sight, None
    return sight, [known[str(i)] for i in sight.ids]


def sight_of(run: Run, batch: Batch | None) -> Sight | None:
    """What dimensions see on a batch; None where it is gone, or too small to say anything."""
    return Sight(run, batch) if batch is not None and len(batch) >= FEW else None


def plain(clock: str, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps of one clock as plain rows."""
    return [
        {
            "step": number,
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
    """The ``steps.jsonl`` of a run that is being learned, else of a run or a folder."""
    if path.is_file():
        return path
    for folder in (*scratch_of(path.absolute()), path):
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
    """
    log = log_of(path)
    if log is None:
        raise UsageError(
            f"Expected a run, or a folder with a steps.jsonl, found neither at {path}: "
            f"`stepwell learn SRC --out RUN` makes one."
        )
    rows: list[dict[str, Any]] = []
    ahead = "no spectrum yet"
    known = read_spectra(log)
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
