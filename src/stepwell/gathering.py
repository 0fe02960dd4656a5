"""Before learning: where the run goes, who there is, who is a founder, what fits a budget."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stepwell.heads import BEFORE, FOLDER, labels_before
from stepwell.interfaces import Batch, Observer, Source, StepwellError, UsageError, concatenate
from stepwell.kit.folders import recover
from stepwell.kit.hashing import drawn, hash_text
from stepwell.kit.stopwatch import Stopwatch
from stepwell.resuming import going_on, unfinished
from stepwell.run import Run

FOUNDERS = 2000
"""Examples that everything below the last moments is fitted on: this many, or 5 %, at
most 6,000."""
FEWEST = 8
SCORING = 6.0
"""Seconds for scores without labels and the page, about."""


class Work(Protocol):
    """What a budget is reckoned with; see :class:`stepwell.preparing.Learned`."""

    @property
    def width(self) -> int:
        """Features of an example."""

    @property
    def dimensions(self) -> int:
        """Of the embedding, at most."""

    def encodings(self, examples: int) -> float:
        """Examples and their partners."""

    def encode(self, batch: Batch) -> Any:
        """Codes of a batch."""


def target_of(out: Any, source: Source, overwrite: bool | str) -> Path:
    """Where the run goes; refused early if something is there."""
    target = named_target(out, source)
    recover(target)
    if unfinished(target) and not overwrite:
        raise UsageError(
            f"Expected a free name for the run, found a training that was stopped at {target}: "
            f"`{going_on(target)}` goes on with it, --overwrite begins anew."
        )
    if not target.exists():
        return target
    if not (target / "config.toml").is_file():
        raise UsageError(
            f"Expected a free name for the run, found something else at {target}: "
            f"choose another --out."
        )
    if not overwrite:
        raise UsageError(
            f"Expected a free name for the run, found one at {target}: "
            f"add --overwrite (in Python overwrite=True) to replace it, or choose another --out."
        )
    check_ours(target)
    if overwrite != "all":
        _check_untuned(target)
    return target


def _check_untuned(target: Path) -> None:
    """Raise where a head would go that somebody gave labels for: no data brings these back."""
    try:
        labels = labels_before(Run(target))
    except StepwellError:  # damaged: the names of what is there tell enough
        labels = []
    tuned = [name for name in (FOLDER, *BEFORE) if (target / "parts" / name).exists()]
    if not tuned:
        return
    kinds = sorted({row["label"] for row in labels})
    shown = ", ".join(kinds[:3]) + (" …" if len(kinds) > 3 else "")
    what = f" on {len(labels):,} labels of {len(kinds):,} classes ({shown})" if labels else ""
    raise UsageError(
        f"Expected a run without labels to replace, found one at {target} that was fine-tuned"
        f"{what}: its head and the labels in parts/{tuned[0]} would go with it. Add --overwrite "
        f'all (in Python overwrite="all") to replace all of it, or choose another --out.'
    )


OURS = frozenset(
    (
        *("config.toml", "parts", "examples.parquet", "embeddings.parquet", "spectrum.parquet"),
        *("steps.jsonl", "scores.json", "card.md", "report.html", "counts.parquet", "pairs.json"),
        *("answers.json", "LOCK", ".DS_Store"),
    )
)
"""What a run writes into its folder."""


def check_ours(target: Path) -> None:
    """Raise where something else than a run would be removed with it.

    Raises
    ------
    UsageError
    """
    names = [path.name for path in target.iterdir()]
    parts = [path for path in (target / "parts").iterdir() if not path.name.startswith(".")]
    others = sorted(name for name in names if name not in OURS and not _scratch(name))
    strange = [p.name for p in parts if not (p / "part.toml").is_file() and p.name != "tuned"]
    others += [f"parts/{name}" for name in strange]
    if others:
        more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
        raise UsageError(
            f"Expected a run and nothing else at {target}, to be replaced, found "
            f"{', '.join(others[:3])}{more} in it too: move that away, or choose another --out."
        )


def _scratch(name: str) -> bool:
    return name.startswith(".") and name.endswith((".tmp", ".partial", ".new", ".old"))


def named_target(out: Any, source: Source) -> Path:
    """Where the run goes, whatever is there."""
    target = Path(out) if out else Path("runs") / getattr(source, "name", source.kind)
    return target.resolve() if target.is_symlink() else target.absolute()


def census(source: Source, tell: Observer) -> list[tuple[str, str]]:
    """(id, group) of every example, without decoding any."""
    entries = []
    for entry in source.entries():
        entries.append(entry)
        if len(entries) % 20_000 == 0:
            tell("list", {"found": len(entries)})
    tell("list", {"found": len(entries)})
    if not entries:
        raise StepwellError("Expected examples to learn from, found none: there is nothing in it.")
    if len(entries) < FEWEST:
        raise StepwellError(
            f"Expected at least {FEWEST} examples to learn from, found {len(entries)}: "
            f"pairs within so few show nothing; add more data."
        )
    return entries


def spread_over(ids: Sequence[str], wanted: int) -> list[str]:
    """About ``wanted`` of ``ids``, evenly from the first to the last."""
    rows = np.linspace(0, len(ids) - 1, min(wanted, len(ids))).astype(int)
    return [ids[row] for row in rows]


TEXTS = 50_000
"""Founders among texts: they are small, and of words that come rarely only many know enough."""


def founders_wanted(examples: int, kind: str = "image") -> int:
    """How many founders so many examples of a kind get."""
    return TEXTS if kind == "text" else max(FOUNDERS, min(6000, examples // 20))


def founders_of(source: Source, entries: list, seed: int, tell: Observer) -> Batch:
    """Founders, drawn by the hash of their group, as one batch in the order of the source."""
    wanted = founders_wanted(len(entries), source.kind)
    chosen = {entries[i][0] for i in drawn(seed, (group for _, group in entries), wanted)}
    ids = None if len(chosen) == len(entries) else chosen
    parts = []
    for batch in source.batches(64, ids=ids):
        parts.append(batch)
        tell("found", {"done": sum(map(len, parts)), "of": len(chosen)})
    if sum(map(len, parts)) < FEWEST:
        raise StepwellError(
            f"Expected at least {FEWEST} readable examples, found {sum(map(len, parts))} "
            f"({len(source.skipped)} could not be read: {reasons(source)}). Mend or remove these."
        )
    return concatenate(parts)


def reasons(source: Source) -> str:
    """Why examples were set aside, a few of them."""
    return "; ".join(sorted({skipped.reason for skipped in source.skipped})[:3])


def one_pass(
    source: Source, founders: Batch, entries: list, ids: set[str], chunk: int
) -> Iterable[Batch]:
    """Batches of the examples named by ``ids``; out of memory where all were asked for as
    founders, so that nothing is decoded twice."""
    if len(entries) <= founders_wanted(len(entries), source.kind):
        return (founders.take(slice(i, i + chunk)) for i in range(0, len(founders), chunk))
    return source.batches(chunk, ids=ids if len(ids) < len(entries) else None)


def only(batches: Iterable[Batch], ids: set[str]) -> Iterable[Batch]:
    """Those examples of batches that are named by ``ids``."""
    for batch in batches:
        rows = np.flatnonzero([str(name) in ids for name in batch.ids])
        if len(rows):
            yield batch.take(rows)


def shareable(entries: list[tuple[str, str]], ids: set[str], kind: str) -> list[str]:
    """Ids that several processes may share, in the order of the source; none where all examples
    are founders, who have been read by the first one already."""
    if len(entries) <= founders_wanted(len(entries), kind):
        return []
    return [name for name, _ in entries if name in ids]


def within(
    budget: float,
    watch: Stopwatch,
    learned: Work,
    source: Source,
    entries: list[tuple[str, str]],
    founders: Batch,
    seed: int,
) -> set[str]:
    """Ids that fit a budget in seconds, drawn by hash; founders are always among them.

    Reading and encoding are timed on a few founders; what has to be done whatever the number
    of examples is paid first.
    """
    some = founders.take(slice(0, 64))
    start = time.perf_counter()
    read = sum(map(len, source.batches(64, ids=set(map(str, some.ids)))))
    between = time.perf_counter()
    learned.encode(some)
    encode = (time.perf_counter() - between) / len(some)
    read_one = (between - start) / max(read, 1)
    fixed = watch.wall() + solving_seconds(learned.width, learned.dimensions) + SCORING
    left = 0.95 * budget - fixed

    def fits(share: float) -> bool:
        count = int(share * len(entries))
        return count * read_one + 1.1 * learned.encodings(count) * encode <= left

    share = next((s for s in np.linspace(1, 0, 101)[:-1] if fits(s)), 0.0)
    if share == 1:
        return {name for name, _ in entries}
    rank = hash_text(seed + 1, (group for _, group in entries))
    kept = {entries[i][0] for i in np.flatnonzero(rank < np.uint64(share * 2**64))}
    return kept | set(map(str, founders.ids))


def solving_seconds(width: int, dimensions: int) -> float:
    """About how long choosing, solving and the controls take, on two cores of 2021."""
    return 3e-9 * width**2 * dimensions
