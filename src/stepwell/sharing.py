"""Several processes share the one pass over the data: each adds up its own examples.

They meet in a folder beside the run, which all of them must see; no other library is needed.
Sums are exact, so a run that was shared is the run of one process, to the last bit.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.encoders import ENCODERS
from stepwell.engines import MOMENTS, Choice, Known, Quantiser, SpectralEngine
from stepwell.interfaces import Batch, Skipped, Source, StepwellError, UsageError
from stepwell.kit.files import held, lock_of, write_json
from stepwell.kit.folders import scratch_of
from stepwell.kit.hashing import hash_text
from stepwell.kit.parts import load_part, save_part
from stepwell.kit.plugins import registered
from stepwell.kit.ranks import rank, ranks
from stepwell.kit.texts import column_of
from stepwell.pretexts import PRETEXTS
from stepwell.recording import Examples, by_name, pretext_of
from stepwell.retrieval import Sample

WAIT_S = 0.1
TOLD, SAMPLE, SUFFIX = "told.json", "sample.npz", "sharing"


def place_of(target: Path) -> Path:
    """Where the processes of one start meet: what started them has named it."""
    names = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
    start = "\0".join(os.environ.get(name, "") for name in names)
    return target.with_name(f".{target.name}.{int(hash_text(0, [start])[0]) >> 32:08x}.{SUFFIX}")


def share_of(ids: Sequence[str], number: int) -> list[str]:
    """The part of the examples that a process sees: consecutive ones, so that all parts one
    after the other are the source."""
    first, last = (len(ids) * side // ranks() for side in (number, number + 1))
    return list(ids[first:last])


class Offer:
    """What the first process tells the others, and what it gathers from them.

    Parameters
    ----------
    target : path
        Where the run will be.
    learned : Learned
        All that is below the moments.
    source : Source
    seed : int
    founders : set of str
        Ids that the run marks as founders.
    """

    def __init__(
        self, target: Path, learned: Any, source: Source, seed: int, founders: set[str]
    ) -> None:
        self.seed, self._founders = seed, founders
        self._learned, self._source = learned, source
        self._place, self._shared, self._own = place_of(target), False, list[str]()
        for left in scratch_of(target, SUFFIX):  # by starts that were killed
            shutil.rmtree(left, ignore_errors=True)

    def make(self, ids: Sequence[str], chunk: int) -> list[str]:
        """Tell what is to be done with the examples named, so many at a time; returns the own
        share, or nothing where the others can't help: with an encoder of the caller's own, which
        no file can name, or without ids.
        """
        if ranks() == 1:
            return []
        learned, draft = self._learned, self._place / "draft"
        self._shared = bool(ids) and _nameable(learned, self._source.kind)
        draft.mkdir(parents=True, exist_ok=True)
        told: dict[str, Any] = {"ids": list(ids) if self._shared else [], "here": self._here()}
        if self._shared:
            engine, pretext = learned.engine, learned.pretext
            told |= {"kind": self._source.kind, "seed": self.seed, "chunk": chunk}
            told |= {"pretext": pretext.name, "options": dict(getattr(pretext, "options", {}))}
            told["device"] = str(getattr(learned.encoder, "device", "")).partition(":")[0]
            told |= {"founders": sorted(self._founders), "drawn": sorted(engine.founders)}
            told["known"] = engine.known.ids
            np.save(draft / "known.npy", np.asarray(engine.known.codes))
            save_part(draft / "encoder", learned.encoder, learned.encoder.name)
            save_part(draft / "quantiser", engine.quantiser, "quantiser")
        write_json(draft / TOLD, told)
        os.rename(draft, self._place / "offer")
        self._own = share_of(ids, 0) if self._shared else []
        return self._own

    def _here(self) -> list[str]:
        """Names of the other processes of this start, once they have all come: what one that was
        killed has left tells theirs nothing."""
        while True:
            names = {path.name.split("-")[1]: path.name for path in self._place.glob("here-*-*")}
            if len(names) == ranks() - 1:
                return sorted(names.values())
            time.sleep(WAIT_S)

    def gathered(self, sample: Sample) -> Iterator[Path]:
        """Add what the other processes have found, in order; yields the folder of each.

        Waits for each to come, also where there is nothing for it to do: else it might look for
        an offer that is gone.
        """
        skipped = self._source.skipped
        if self._shared:  # what it has read as a founder may be for another to tell
            skipped[:] = _among(skipped, set(self._own))
        for number in range(1, ranks()):
            folder = self._place / f"share-{number}"
            while not folder.is_dir():
                time.sleep(WAIT_S)
            if not self._shared:
                continue
            moments: Any = load_part(folder / "moments", MOMENTS)
            with np.load(folder / "kept.npz", allow_pickle=False) as kept:
                self._learned.engine.join(moments, kept["codes"], kept["ranks"])
            told = json.loads((folder / TOLD).read_text(encoding="utf-8"))
            skipped += [Skipped(**each) for each in told["skipped"]]
            if (folder / SAMPLE).is_file():
                sample.offer(_batch(folder / SAMPLE))
            yield folder

    def close(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._place, ignore_errors=True)


def help_with(target: Path, source: Source) -> None:
    """What every process but the first does: take what is offered, see its share, tell.

    Raises
    ------
    StepwellError
        If the first process ended before it had offered anything.
    """
    place, begun, me = place_of(target), False, f"here-{rank()}-{uuid.uuid4().hex}"
    while me not in (told := _told(place / "offer")).get("here", ()):
        # Again and again: the first process clears away what killed ones have left.
        place.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (place / me).touch()
        writing = held(lock_of(target))
        if begun and not writing:
            shutil.rmtree(place, ignore_errors=True)
            raise StepwellError(
                f"Expected work to share from the first process, found that it has ended: it says "
                f"why, and there may be no run at {target}."
            )
        begun = begun or writing
        time.sleep(WAIT_S)
    folder = place / f"draft-{rank()}"
    folder.mkdir()
    if told["ids"]:
        ids = set(share_of(told["ids"], rank()))
        batches = source.batches(told["chunk"], ids=ids) if ids else ()
        _see(folder, place / "offer", told, batches)
        skipped = [vars(each) for each in _among(source.skipped, ids)]
        write_json(folder / TOLD, {"skipped": skipped})
    os.rename(folder, place / f"share-{rank()}")


def _see(folder: Path, offer: Path, told: dict[str, Any], batches: Iterable[Batch]) -> None:
    """One process's share of the pass, written down."""
    encoder: Any = load_part(offer / "encoder", registered("encoders", ENCODERS))
    if hasattr(encoder, "on"):  # each process has a device of its own
        number = f":{os.environ.get('LOCAL_RANK', 0)}" if told["device"] == "cuda" else ""
        encoder = encoder.on(told["device"] + number)
    quantiser: Any = load_part(offer / "quantiser", {"quantiser": Quantiser})
    config = {"learn": told, "source": {"kind": told["kind"]}}
    known = Known(told["known"], np.load(offer / "known.npy", allow_pickle=False))
    founders = set(told["founders"])
    engine = SpectralEngine(quantiser, set(told["drawn"]), Choice(), known=known)
    sample = Sample(told["seed"], founders)
    with Examples(folder, told["seed"], founders) as examples:
        for batch, codes in engine.learn(batches, pretext_of(config), encoder, told["seed"]):
            examples.add(batch, codes)
            sample.offer(batch)
    save_part(folder / "moments", engine.moments, engine.moments.name)
    codes, order = engine.kept
    np.savez(folder / "kept.npz", codes=codes, ranks=order)
    if sample.kept is not None:
        _write(folder / SAMPLE, sample.kept)


def _told(folder: Path) -> dict[str, Any]:
    """What is told there; nothing where nothing is."""
    try:
        found: dict[str, Any] = json.loads((folder / TOLD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _among(skipped: Iterable[Skipped], ids: set[str]) -> list[Skipped]:
    return [each for each in skipped if each.id in ids]


def _nameable(learned: Any, kind: str) -> bool:
    """Whether encoder and pretext can be made again from what files hold."""
    encoders = registered("encoders", ENCODERS)
    if encoders.get(learned.encoder.name) is not type(learned.encoder):
        return False
    try:
        return by_name("pretexts", PRETEXTS, learned.pretext.name, kind) is type(learned.pretext)
    except UsageError:
        return False


def _write(path: Path, batch: Batch) -> None:
    columns: dict[str, Any] = {}
    for name, column in batch.data.items():
        if np.asarray(column).dtype == object:  # texts: not as wide as the longest, and no pickle
            raw = json.dumps([str(text) for text in column]).encode()
            columns[f"texts.{name}"] = np.frombuffer(raw, np.uint8)
        else:
            columns[f"data.{name}"] = np.asarray(column)
    columns |= {name: getattr(batch, name) for name in ("ids", "group", "digest")}
    np.savez(path, allow_pickle=False, **columns)


def _batch(path: Path) -> Batch:
    with np.load(path, allow_pickle=False) as found:
        names = [name for name in found.files if name.startswith("data.")]
        data = {name.removeprefix("data."): found[name] for name in names}
        for name in (name for name in found.files if name.startswith("texts.")):
            data[name.removeprefix("texts.")] = column_of(json.loads(found[name].tobytes()))
        return Batch(found["ids"], data, found["group"], found["digest"])
