"""A Run: a directory of named parts, all in safe formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt import LabelSums, Witnesses
from stepwell.engines import USES, SpectralMap
from stepwell.interfaces import Batch, Encoder, Row, StepwellError, UsageError
from stepwell.kit.files import files_of, there
from stepwell.kit.names import nearest
from stepwell.kit.parts import check_fit, load_part
from stepwell.kit.rowfiles import read_rows, texts_of
from stepwell.kit.schema import entries, several, word
from stepwell.runfile import (
    computed,
    followed,
    identity,
    misfit,
    not_ours,
    own,
    part_kinds,
    read_config,
    read_json,
    read_like,
    replaced,
    same_path,
    whole_file,
)
from stepwell.sources import open_source
from stepwell.sources.texts import MARKED, in_words

if TYPE_CHECKING:
    from os import PathLike


class Run:
    """What ``learn`` left behind. Open one with :func:`stepwell.load`."""

    data: Any = None
    """The source it was learned from; known only to the process that learned."""

    def __init__(self, path: str | PathLike[str], source: Any = None) -> None:
        self.path, self.given = Path(path), source
        self.config = read_config(self.path)
        self._identity = identity(self.path)
        self.tuned: int | None = None
        self.kept: dict[str, Any] = {}  # what one call has made and the next may use

    def __repr__(self) -> str:
        facts = self.config["data"]
        return f"Run({str(self.path)!r}: {facts['examples']:,} examples, {self.width} dimensions)"

    def part(self, name: str) -> Any:
        """A part by name: ``encoder``, ``map``, ``moments``, ``gradient``, ``shuffled`` …"""
        self.check_same()
        folder = self.path / "parts" / name
        found = load_part(folder, part_kinds())
        self.check_same()
        if hasattr(found, "takes") and not hasattr(found, "embed"):  # no encoder itself
            labelled = isinstance(found, (LabelSums, Witnesses))
            check_fit(folder, found, self.width if labelled else self.encoder.width)
        return found

    def check_same(self) -> None:
        """Raise where another run has taken the place of this one: parts of both would not fit.

        Raises
        ------
        StepwellError
        """
        if identity(self.path) != self._identity:
            raise replaced(self.path)

    def has(self, name: str) -> bool:
        """Whether a run holds a part; older ones lack those that came later."""
        return (self.path / "parts" / name).is_dir()

    @cached_property
    def encoder(self) -> Encoder:
        """Everything below the last moments: examples to features φ."""
        encoder: Encoder = self.part("encoder")
        return encoder

    @cached_property
    def map(self) -> SpectralMap:
        """Features φ to the embedding."""
        found: SpectralMap = self.part("map")
        if found.width != self.width:
            raise misfit(self.path, self.width, found)
        return found

    @property
    def width(self) -> int:
        """Dimensions of the embedding: its modes, and partly whitened features beside them."""
        choice = self.config["choice"]
        return int(choice.get("width", choice["k"]))

    @property
    def recipe(self) -> list[str]:
        """What its pairs were made with, where its pretext has a recipe."""
        return list(self.config["learn"].get("options", {}).get("recipe", ()))

    def open(self, src: Any, *, canvas: int | None = None, **options: Any) -> Any:
        """A source as this run reads it, so that pixels are the same; or on another canvas."""
        same = self.config["source"].get("options", {})
        like = read_like(same) | ({"canvas": canvas} if canvas else {})
        if same_path(src, self.config["source"].get("path")):  # it is read as it was
            options, like = {**followed(self.config["source"]), **like, **options}, {}
        source = open_source(src, like=like, **options)
        if source.kind != self._kind:
            raise UsageError(
                f"Expected {self._kind}, which the run was learned from, found {source.kind}: give "
                f"data of that kind."
            )
        return source

    def asked(self, src: Any, *, word: bool = False) -> Any:
        """What is meant by a path, or by words that are a text themselves; a single ``word`` may be
        a mistyped path."""
        text = self._kind == "text" and isinstance(src, str) and not there(src)
        return [src] if text and in_words(src) and (word or " " in src.strip()) else src

    def own_source(self, canvas: int | None = None) -> Any:
        """The source it was learned from, opened the same way; or on another canvas."""
        if self.data is not None and canvas is None:
            return self.data
        source = self.config["source"]
        where = self.given if self.given is not None else source.get("path")
        where = self.data if where is None else where
        if isinstance(where, str) and self.given is None and not self.made_here:
            raise not_ours(where)
        options = followed(source)
        if canvas is not None:
            options |= {"canvas": None, "like": {"canvas": canvas}}
        return open_source(where, **{k: v for k, v in options.items() if v is not None})

    @property
    def made_here(self) -> bool:
        """Whether this user learned it on this machine, so that the paths in it are the user's."""
        return own(self.config["source"])

    def embed_batches(
        self, src: Any, *, use: str | None = None, **options: Any
    ) -> Iterator[tuple[Batch, NDArray]]:
        """Batches of a source with their (n, k) embeddings, in source order."""
        if use is not None and use not in USES:
            raise UsageError(f"Expected a use ({', '.join(USES)}), found {use!r}.")
        found = self.map.weighted(use)
        for batch in self.open(src, **options).batches(self.chunk):
            yield batch, found(self.features(batch))

    def features(self, batch: Batch) -> NDArray[np.float32]:
        """(n, d) of its encoder, whose weights may come from somebody else: as many as there have
        to be, and finite.

        Raises
        ------
        StepwellError
        """
        encoder = self.encoder
        with computed(self.path):
            found = np.asarray(encoder.embed(batch))
            if found.shape != (len(batch), encoder.width) or not np.isfinite(found).all():
                raise ValueError(f"numbers of shape {found.shape}, not all of them finite")
        return found

    @property
    def chunk(self) -> int:
        """Examples read at a time."""
        canvas = self.config["source"].get("options", {}).get("canvas", 1)
        return max(16, min(int(self.config["learn"].get("chunk", 256)), 2**25 // canvas**2))

    def embed(self, src: Any, *, use: str | None = None) -> NDArray[np.float32]:
        """Embed a source, a path or an array of examples; of texts, one in words.

        Parameters
        ----------
        src
        use : {"few", "many", "search", "cluster"}, optional
            What the vectors are for: 1 to 5 labels a class, many labels, likeness, clusters.
            Default: what is about as good for each.

        Returns
        -------
        (n, k) float32
            Unit length, in source order; what can't be read is left out.
        """
        parts = [z for _, z in self.embed_batches(self.asked(src), use=use)]
        if not parts:
            raise StepwellError(f"Expected examples to embed, found none in {src}.")
        return np.concatenate(parts)

    @cached_property
    def index(self) -> tuple[NDArray[np.str_], NDArray[np.float16]]:
        """Ids and embeddings of everything it learned from."""
        path = self.path / "embeddings.parquet"
        with whole_file(path):
            table = read_rows(path, {"id": "string", "embedding": ""})
            flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            codes = np.asarray(flat, np.float16).reshape(len(table), self.width)
            if not len(table) or not np.isfinite(codes).all():
                raise ValueError(f"{len(table)} rows, or numbers that are not finite")
            ids = np.array(texts_of(table["id"]), dtype=str)
        self.check_same()
        return ids, codes

    def search(self, query: Any, n: int = 10) -> list[Row]:
        """The n examples it learned from that are most similar to ``query``.

        Parameters
        ----------
        query : str, path or array
            An id in this run, a file, an array of one example; of texts, one in words.
        n : int

        Returns
        -------
        list of {"id": str, "cosine": float}, most similar first; of texts with their "text",
        where that is still there
        """
        from stepwell.apply.search import search

        rows = search(self.index, self.map.asking(self._query(query), "search"), n)
        if self._kind == "text":
            known = self.texts_of({row["id"] for row in rows})
            rows = [row | {"text": known[row["id"]]} if row["id"] in known else row for row in rows]
        return rows

    @property
    def _kind(self) -> str:
        return str(self.config["source"]["kind"])

    def texts_of(self, ids: set[str]) -> dict[str, str]:
        """Texts of examples, where they are texts and still there."""
        if self._kind != "text":
            return {}
        try:
            parts = [*self.own_source().batches(self.chunk, ids=ids)]
        except (StepwellError, OSError):
            return {}
        return {
            str(name): str(text)
            for part in parts
            for name, text in zip(part.ids, part.data["text"], strict=True)
        }

    def _query(self, query: Any) -> NDArray[np.float32]:
        ids, embeddings = self.index
        if isinstance(query, str):
            found = np.flatnonzero(ids == query)
            if len(found):
                return embeddings[found[0]].astype(np.float32)
            words = not (there(query) and Path(query).is_file()) and not MARKED.search(query)
            if self._kind == "text" and words:
                return self._of_words(query)
            if not there(query):
                raise UsageError(
                    f"Expected an example of this run or a file, found {query!r}."
                    f"{nearest(query, ids[:20000])} Its examples are named like {str(ids[0])!r}."
                )
        if isinstance(query, np.ndarray) and query.ndim in (2, 3):
            query = query[None]
        embedded: NDArray[np.float32] = self.embed(query)[0]
        return embedded

    def _of_words(self, text: str) -> NDArray[np.float32]:
        """(k,) embedding of a text."""
        batch = next(self.open([text]).batches(1), None)  # none of one that is far too long
        features = np.zeros(1) if batch is None else self.features(batch)
        if not features.any():
            raise UsageError(
                f"Expected words that the run knows, found none of them in {text[:80]!r}."
            )
        return np.asarray(self.map(features)[0], np.float32)

    def evaluate(
        self, labels: Any, test: Any = None, *, seed: int = 0, pretrained: Any = None
    ) -> dict[str, Any]:
        """Score the embedding and its controls on labelled examples; see :mod:`~.scoring`."""
        from stepwell.scoring import evaluate

        return evaluate(self, labels, test, seed=seed, pretrained=pretrained)

    def robustness(self, labels: Any, test: Any = None, **options: Any) -> list[Row]:
        """Accuracy as examples get worse; see :func:`~.robustness.robustness`."""
        from stepwell.robustness import robustness

        return robustness(self, labels, test, **options)

    @property
    def phases(self) -> list[Row]:
        """Where it is, with the evidence; see :func:`~.phases.phases`."""
        from stepwell.phases import phases

        return phases(self)

    def finetune(self, labels: Any, *, seed: int = 0, **options: Any) -> dict[str, Any]:
        """Learn to tell labels, from as few as there are; see :func:`~.finetuning.finetune`."""
        from stepwell.finetuning import finetune

        return finetune(self, labels, seed=seed, **options)

    def predict(self, src: Any, **options: Any) -> list[Row]:
        """What it was fine-tuned to tell, of other examples; see :func:`~.predicting.predict`.

        Of a list of files or folders one after the other.
        """
        from stepwell.predicting import of_files, predict

        if files_of(src):
            return list(of_files(self, src, **options))
        return list(predict(self, self.asked(src), **options))

    def suggest(self, n: int = 20, labels: Any = None, *, seed: int = 0) -> list[Row]:
        """Examples whose labels would help most; see :func:`~.suggesting.suggest`."""
        from stepwell.suggesting import suggest

        return suggest(self, n, labels, seed=seed)

    def generate(self, prompt: str = "", length: int = 400, **options: Any) -> str:
        """A text that goes on with a prompt; options as for :func:`~.apply.generate.generate`."""
        from stepwell.generating import go_on

        return "".join(go_on(self, prompt, length, **options))

    def translate(self, texts: str | Sequence[str], **options: Any) -> Any:
        """One text, or several, in the other language; see :func:`~.translating.translate`."""
        from stepwell.translating import translate

        found = list(translate(self, [texts] if isinstance(texts, str) else texts, **options))
        return found[0] if isinstance(texts, str) else found

    def steps(self, labels: Any = None) -> list[Row]:
        """What was learned first, second, third …: both orders, see docs/staircase.md.

        Parameters
        ----------
        labels : optional
            As for :meth:`evaluate`: adds what each step tells about them, in bits.

        Returns
        -------
        list of row
            ``step``, ``clock`` ("gradient", "whitened"), ``dimension``, ``time``, ``begin``,
            ``end``, ``size``, ``confidence``; where the data is there ``sees``, ``blind_to``,
            ``turned_by``; of the gradient order ``own_dimension`` and ``own_r``, the dimension
            of this encoder that it goes with most.
        """
        from stepwell.timeline import whole

        return whole(self, labels)

    @property
    def answers(self) -> list[dict[str, str]]:
        """What it says to texts that were held out, where it translates or goes on with them:
        ``asked``, ``answer``, ``wanted``."""
        said = entries(dict.fromkeys(("asked", "answer", "wanted"), word()))
        found: list[dict[str, str]] = read_json(self.path / "answers.json", [], several(said))
        return found

    def report(self, src: Any = None) -> Path:
        """Write ``report.html`` anew, with pictures from the source (or ``src``)."""
        from stepwell.reporting import write_report

        return write_report(self, src)


def load(path: str | PathLike[str], *, source: Any = None) -> Run:
    """Open a run.

    Parameters
    ----------
    path : path
    source : path or Source, optional
        The data it was learned from, where that has moved, or where another user or another
        machine learned it: paths in such a run are not followed.

    Raises
    ------
    UsageError
        If there is no run at ``path``.
    StepwellError
        If a newer stepwell wrote it.
    """
    return Run(path, source)
