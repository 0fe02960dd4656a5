"""Writing a run down: steps, examples, parts, index, configuration, card."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.engines import SpectralMap
from stepwell.evaluate.strangeness import Usual, sampled
from stepwell.interfaces import Batch, Observer, Pretext, StepwellError, UsageError
from stepwell.kit.escape import for_markdown
from stepwell.kit.files import json_text, write_atomic, write_json
from stepwell.kit.hashing import fold_of
from stepwell.kit.names import nearest
from stepwell.kit.parts import save_part, toml
from stepwell.kit.plugins import OWN, fitting, plugins, trusted
from stepwell.kit.trust import seal
from stepwell.pretexts import PRETEXTS
from stepwell.pretexts.tokens import Next, Parallel
from stepwell.resuming import named
from stepwell.run import Run
from stepwell.runfile import FORMAT
from stepwell.sources.facts import facts_of

_LIBRARIES = ("stepwell", "numpy", "scipy", "scikit-learn", "Pillow", "pyarrow")


class Recorder:
    """``observe`` that also appends to ``steps.jsonl``: at most a line a second a kind."""

    def __init__(self, path: Path, observe: Observer) -> None:
        self._path, self._observe = path, observe
        self._start, self._last = time.perf_counter(), dict[str, float]()
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self._file = open(self._path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        now = time.perf_counter() - self._start
        often = "done" in facts and facts.get("done") != facts.get("of")
        if self._file and not (often and now - self._last.get(event, -9.0) < 1):
            self._last[event] = now
            line = {"t": round(now, 3), "event": event, **facts}
            self._file.write(json.dumps(line, default=float, ensure_ascii=False) + "\n")
            self._file.flush()
        self._observe(event, facts)


class Examples:
    """Who was learned from, written batch by batch; their codes wait on disk.

    Memory stays the same however many examples there are.
    """

    CODES = "codes.scratch"

    def __init__(self, folder: Path, seed: int, founders: set[str]) -> None:
        self._folder, self._seed, self._founders = folder, seed, founders

    def __enter__(self) -> Self:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        fields = [("id", pa.string()), ("digest", pa.string()), ("group", pa.string())]
        self._schema = pa.schema([*fields, ("fold", pa.int8()), ("founder", pa.bool_())])
        self._writer = parquet.ParquetWriter(self._folder / "examples.parquet", self._schema)
        self._codes = open(self._folder / self.CODES, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._codes.close()

    def add(self, batch: Batch, codes: Any) -> None:
        """A batch and its (n, d) int8 codes."""
        import pyarrow as pa

        ids = [str(i) for i in batch.ids]
        columns = [
            pa.array(ids),
            pa.array([f"{high:016x}{low:016x}" for high, low in batch.digest.tolist()]),
            pa.array([str(g) for g in batch.group]),
            pa.array(fold_of(self._seed, [str(g) for g in batch.group])),
            pa.array([i in self._founders for i in ids]),
        ]
        self._writer.write_table(pa.table(columns, schema=self._schema))
        self._codes.write(np.ascontiguousarray(codes).tobytes())

    def join(self, folder: Path) -> None:
        """Add those that another process has written into ``folder``."""
        import pyarrow.parquet as parquet

        with parquet.ParquetFile(folder / "examples.parquet") as table:
            for group in range(table.num_row_groups):
                self._writer.write_table(table.read_row_group(group))
        with open(folder / self.CODES, "rb") as codes:
            shutil.copyfileobj(codes, self._codes)


def write_index(folder: Path, learned: Any, tell: Observer) -> None:
    """``embeddings.parquet``, and what is usual, from the waiting codes, which are then removed."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    spectral: SpectralMap = learned.solution.map
    ids = parquet.read_table(folder / "examples.parquet", columns=["id"])["id"]
    width, k = len(spectral.mu), spectral.width
    vector = pa.list_(pa.float16(), k)
    schema = pa.schema([("id", pa.string()), ("embedding", vector)])
    path = folder / Examples.CODES
    with (
        open(path, "rb") as codes,
        parquet.ParquetWriter(folder / "embeddings.parquet", schema, compression="none") as out,
    ):
        for start in range(0, len(ids), 2048):
            names = ids.slice(start, 2048).combine_chunks()
            raw = np.frombuffer(codes.read(len(names) * width), np.int8).reshape(-1, width)
            flat = pa.array(spectral.of_codes(raw).astype(np.float16).ravel())
            column = pa.FixedSizeListArray.from_arrays(flat, k)
            out.write_table(pa.table([names, column], schema=schema))
            tell("embed", {"done": start + len(names), "of": len(ids)})
    rows = _impartial(folder, learned)
    usual = Usual.of(np.memmap(path, np.int8, "r", shape=(len(ids), width))[rows], rows)
    if usual is not None:
        save_part(folder / "parts" / Usual.name, usual, usual.name)
    path.unlink()


def _impartial(folder: Path, learned: Any) -> NDArray[np.intp]:
    """Some examples whose features are as those of new ones would be: encoders may know founders
    too well, trained ones know all."""
    import pyarrow.parquet as parquet

    founder = parquet.read_table(folder / "examples.parquet", columns=["founder"])["founder"]
    any_will_do = getattr(learned.encoder, "impartial", False)
    rows = np.flatnonzero(any_will_do | ~founder.to_numpy()) if not learned.training else ()
    return np.asarray(rows, np.intp)[sampled(len(rows))]


def write_parts(folder: Path, learned: Any) -> None:
    """Encoder, moments, map and controls as parts; the spectrum as a table."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parts = folder / "parts"
    save_part(parts / "encoder", learned.encoder, learned.encoder.name)
    save_part(parts / "moments", learned.engine.moments, learned.engine.moments.name)
    save_part(parts / "map", learned.solution.map, "spectral")
    for name, control in learned.solution.controls.items():
        save_part(parts / name, control, "spectral")
    if learned.twin is not None:
        save_part(parts / "shuffled_encoder", learned.twin, learned.twin.name)
    if learned.solution.gradient is not None:
        save_part(parts / "gradient", learned.solution.gradient, "spectral")
    values = np.asarray(learned.solution.map.values)
    table = {"mode": np.arange(1, len(values) + 1), "eigenvalue": values}
    table["noise"] = np.full(len(values), learned.solution.noise)
    parquet.write_table(pa.table(table), folder / "spectrum.parquet")


def write_config(
    folder: Path, learned: Any, source: Any, settings: Any, facts: dict, cost: dict
) -> None:
    """``config.toml``: all that is needed to repeat the run."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(folder / "examples.parquet", columns=["founder", "digest"])
    pretext, solution = learned.pretext, learned.solution
    config = {
        "format": FORMAT,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "source": {
            **named(source),
            "seal": seal(named(source)),
            "name": getattr(source, "name", source.kind),
            "kind": source.kind,
            "read": facts_of(source),
        },
        "learn": {
            "preset": settings.preset,
            "engine": settings.engine,
            "seed": settings.seed,
            "share": settings.share,
            "budget": settings.budget or 0.0,
            "encoder": learned.encoder.name,
            "backbone": settings.backbone or "",
            "weights": Path(settings.weights).name if settings.weights else "",
            "pretext": pretext.name,
            "options": dict(getattr(pretext, "options", {})),
            "chunk": int(facts.pop("chunk", 256)),
        },
        "train": dict(learned.training),
        "choice": {
            "k": solution.map.modes,
            "width": solution.map.width,
            "share": solution.map.share,
            "rho": solution.map.choice.rho,
            "alpha": solution.map.choice.alpha,
            "noise": solution.noise,
            "tried": solution.rows,
        },
        "data": {
            "examples": table.num_rows,
            "founders": int(np.sum(table["founder"].to_numpy())),
            "distinct": len(table["digest"].unique()),
            "skipped": len(facts["skipped"]),
        },
        "views": learned.calibration.rows,
        "skipped": facts["skipped"][:1000],
        "cost": cost,
        "versions": versions(),
    }
    write_atomic(folder / "config.toml", toml(config))


def versions() -> dict[str, str]:
    """Of stepwell and of what it computes with."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def write_cost(run: Run, cost: dict[str, Any]) -> None:
    """Bring the cost in ``config.toml`` up to date."""
    run.config["cost"] = cost
    write_atomic(run.path / "config.toml", toml(run.config))


def write_scores(folder: Path, scores: dict[str, Any]) -> None:
    """Merge into ``scores.json``."""
    path = folder / "scores.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, known | scores)


def by_name(room: str, builtin: dict[str, Any], name: str, kind: str) -> Any:
    """What is registered under a name for a kind of data, with a hint for a misspelt one.

    A plug-in goes before what is built in, where it is for that kind.
    """
    if OWN.fullmatch(name):
        return fitting(room, name)
    known, others = {}, dict[str, Any]()
    for key, made in (*builtin.items(), *plugins(room).items()):
        plain = key.partition(":")[0]
        if not made.kinds or kind in made.kinds:
            known[plain] = made
        others.setdefault(plain, made)
    if name in known or name in others:
        return known.get(name, others.get(name))
    own = trusted(room, name)
    if own is not None:
        return own
    raise UsageError(
        f"Expected one of the {room} ({', '.join(sorted(known or others))}), found {name!r}."
        f"{nearest(name, known or others)}"
    )


def pretext_of(config: Mapping[str, Any], **changed: Any) -> Pretext:
    """The pretext a run was learned with; ``changed`` replaces options it has."""
    found = by_name("pretexts", PRETEXTS, config["learn"]["pretext"], config["source"]["kind"])
    options = config["learn"].get("options", {})
    known = signature(found).parameters
    others = [name for name in options if name not in known]
    if others and not any(each.kind is each.VAR_KEYWORD for each in known.values()):
        raise StepwellError(
            f"Expected options of the pretext {found.name} ({', '.join(known) or 'none'}), found "
            f"{', '.join(map(repr, others))}: the run is damaged, or a newer stepwell wrote it."
        )
    pretext: Pretext = found(**options | {k: v for k, v in changed.items() if k in options})
    return pretext


_CARD = """# {name}

An encoder learned by stepwell {version} from {examples:,} unlabelled examples
({kind}), on {created}.

**Use.** {uses}Embeddings of {k} dimensions for search, clustering, and classifiers on few
labels: `stepwell embed`, `stepwell search`, `stepwell finetune`.

**What it says.** {verdict}

**Limits.**
- It knows the kind of data it saw; judge it on yours with `stepwell evaluate`.
- It treats as the same: {views}. Where that difference matters, learn with other `--views`.
- {founders:,} founders shaped its features (examples.parquet marks them).
- `embeddings.parquet`, `counts.parquet` and `answers.json` (of texts) and the report hold derived
  data of examples: treat them as you treat the data.
"""


_USES = {
    Parallel.name: "Translations: `stepwell translate`. ",
    Next.name: "Texts that go on: `stepwell generate`. ",
}


def write_said(folder: Path, found: Mapping[str, Any]) -> None:
    """Scores of what a run says to held-out texts; these texts in a file of their own."""
    write_scores(folder, {name: value for name, value in found.items() if name != "answers"})
    if found.get("answers"):
        write_atomic(folder / "answers.json", json_text(found["answers"], indent=1) + "\n")


def write_card(run: Run) -> None:
    """``card.md``: use and limits."""
    scores = json.loads((run.path / "scores.json").read_text(encoding="utf-8"))
    config = run.config
    used = [view["name"] for view in config["views"] if view["used"]]
    text = _CARD.format(
        name=for_markdown(config["source"]["name"]),
        version=config["versions"]["stepwell"],
        kind=for_markdown(config["source"]["kind"]),
        created=config["created"][:10],
        examples=config["data"]["examples"],
        founders=config["data"]["founders"],
        k=run.width,
        uses=_USES.get(config.get("train", {}).get("pretext", ""), ""),
        verdict=scores["verdict"]["sentence"],
        views=for_markdown(", ".join(dict.fromkeys([*used, *run.recipe])))
        or f"partners by {config['learn']['pretext']}",
    )
    write_atomic(run.path / "card.md", text)
