"""The types that flow between rooms: the only stepwell code every room may import.

Everything is a pair. A :class:`Source` yields :class:`Batch` objects; a
:class:`Pretext` turns a batch into :class:`Pairs`; an :class:`Encoder` turns
rows into codes; :class:`Moments` of the paired codes are all an engine needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of any library that follows the Python array API standard."""

Row = dict[str, Any]
"""One line of a result: apply verbs yield rows, only the CLI writes them."""

Observer = Callable[[str, Mapping[str, Any]], None]
"""``observe(event, facts)``: told what happens; can change nothing."""


class StepwellError(Exception):
    """Something the user can mend. The message says: expected, found, what to do."""


class UsageError(StepwellError):
    """The call itself is wrong (exit code 2 on the command line)."""


@dataclass(frozen=True, eq=False)
class Batch:
    """A few examples: the only thing that flows between rooms.

    Attributes
    ----------
    ids : (n,) str
        Where each example is found in its source: ``"a/b.jpg"``, ``"t.csv#row=7"``.
    data : mapping of name to array, first axis n
        ``"image"`` (n, h, w, c) uint8 · ``"values"`` (n, t, c) · ``"text"`` (n,) …
    group : (n,) str
        What no split may cut: patient, film, document. Default: the id.
    digest : (n, 2) uint64
        128-bit digest of the content.
    """

    ids: NDArray[np.str_]
    data: Mapping[str, Array]
    group: NDArray[np.str_]
    digest: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp] | slice) -> Batch:
        """The examples at ``rows``, in that order."""
        data = {name: column[rows] for name, column in self.data.items()}
        return Batch(self.ids[rows], data, self.group[rows], self.digest[rows])

    def with_data(self, **columns: Array) -> Batch:
        """The same examples with other ``data``."""
        return replace(self, data=columns)


@dataclass(frozen=True, eq=False)
class Elements:
    """What an encoder sees inside examples: patches, tokens, windows, states.

    Attributes
    ----------
    codes : (e, d) float
        One feature vector per element.
    owner : (e,) int
        Row of the batch each element belongs to.
    place : (e, p) float
        Where it stands: time | y, x | t, y, x, as fractions of the example in [0, 1].
    """

    codes: Array
    owner: NDArray[np.intp]
    place: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows that belong together.

    Attributes
    ----------
    x : Batch
        The rows to encode: views or parts of examples, m of them.
    unit : (m,) int
        Which unit each row belongs to, 0 … u-1.
    y : Batch or None
        The partners, row by row. None: every ordered pair of distinct rows
        inside a unit (the pseudo-label of a view is its sibling).
    weight : (u,) float or None
        What each unit counts. None: 1 each, so every example counts the same.
    anchor : (n,) int or None
        Rows of ``x`` that are the batch's own examples, untouched and in order: an
        engine that has encoded them need not do so again.
    """

    x: Batch
    unit: NDArray[np.intp]
    y: Batch | None = None
    weight: NDArray[np.float64] | None = None
    anchor: NDArray[np.intp] | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network is shown of n examples, and what it is to tell.

    Attributes
    ----------
    views : sequence of (n, h, w, c)
        Row by row of the same examples. Full-size ones come first, smaller ones may follow.
    told : mapping of name to (n,) or (n, q) int
        Pseudo-labels: classes from 0 that were made from the data.
    hidden : sequence of (n, g, g) bool or None
        Which patches of each view the network does not see; a teacher does.
    whole : sequence of (n, h, w, c) or None
        What a teacher sees instead of the full-size views: of other examples, for a control.
    """

    views: Sequence[Array]
    told: Mapping[str, Array] = field(default_factory=dict)
    hidden: Sequence[Array | None] | None = None
    whole: Sequence[Array] | None = None


@dataclass(frozen=True)
class Skipped:
    """An example that could not be read, and why."""

    id: str
    reason: str


@runtime_checkable
class Source(Protocol):
    """Where examples come from.

    ``accepts(path)`` (a static method of the class) says whether it can read a path;
    ``Class(path)`` opens it. Reading never changes a source.
    """

    kind: str
    """``"image"``, ``"text"``, ``"series"`` …: picks default encoder and pretext."""
    skipped: list[Skipped]
    """What was set aside so far in the current pass."""
    options: Mapping[str, Any]
    """Plain settings that open it again the same way, ``open_source(path, **options)``."""

    def entries(self) -> Iterator[tuple[str, str]]:
        """(id, group) of every example, cheaply: nothing is decoded."""
        ...

    def batches(self, size: int, *, ids: Collection[str] | None = None) -> Iterator[Batch]:
        """Batches of ≤ ``size`` examples in source order, or only those in ``ids``."""
        ...


class Part(Protocol):
    """Anything a Run holds: it can be written down and brought back.

    What is brought back may come from somebody else, so a class may also have

    - ``schema``: a :class:`stepwell.kit.schema.Schema` of what ``state`` writes, or a static method
      that makes one from the settings; checked before ``from_state``. Without one, arrays are
      only checked to hold finite numbers;
    - ``takes: int``: how many features it reads, which are to be as many as the encoder has.
    """

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain settings (TOML types) and named arrays that rebuild this part."""
        ...

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """The part that ``state`` described."""
        ...


class Pretext(Protocol):
    """How pairs are made from unlabelled examples.

    A pretext with settings also has

    - ``options``: plain settings (TOML types or None) that make it again,
      ``Class(**options)``; what names its ``recipe`` is shown to the reader;
    - ``suited(examples) -> Pretext``: itself, set for so many examples;
    - ``places: (v, p) int``: where each of the v rows of every unit lies. Its pairs are then told
      apart by how one row lies to the other.

    One that networks are trained with also has

    - ``seen(batch, seed, epoch, views) -> Seen``: what they are shown, of so many full views;
    - ``gives: frozenset[str]`` and ``objective: str``: what objectives find in it (``views``,
      ``classes``, ``hidden``, ``masked``, ``next``, ``answers``), and the usual one of them;
    - ``classes: Mapping[str, tuple[int, int]]``: of each pseudo-label, how many it tells of an
      example, and of how many classes;
    - ``style: str``: on texts, what the network has to be.
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[str]]
    """Kinds of data it works on; empty means all."""
    target: ClassVar[Literal["same", "other"]]
    """``same``: partners are codes of the same kind. ``other``: a class or another kind."""

    def pairs(self, batch: Batch, seed: int, epoch: int = 0) -> Iterator[Pairs]:
        """The pairs of ``batch``; the same call gives the same pairs."""
        ...


class Encoder(Part, Protocol):
    """Features of examples. ``fit`` sees founders only; then it is frozen.

    An encoder may also offer, and is then asked for

    - ``randomised(seed) -> Encoder``: itself with random weights, a control;
    - ``elements(batch) -> Elements``: what it sees inside each example;
    - ``attention(direction) -> (rows, columns)``: where a direction in feature space looks;
    - ``extremes(direction) -> (low, high)``: words for the two ends of such a direction;
    - ``noise_spread: float``: share of dimensions over which its features of noise, and of
      nothing else, are spread (:func:`stepwell.evaluate.structure.spread`);
    - ``impartial: bool``: whether its features of founders are like those of examples that it
      never saw; patches are, words are not;
    - ``absorbs: frozenset[str]`` and ``absorbing(names) -> Encoder``: views it can be made
      exactly blind to, at no cost.
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[str]]

    @property
    def width(self) -> int:
        """Columns of :meth:`embed`."""
        ...

    def fit(self, founders: Batch, *, seed: int, observe: Observer) -> Self:
        """Fit on founders; returns itself."""
        ...

    def embed(self, batch: Batch) -> Array:
        """(n, width) float32 features, independent of what else is in the batch."""
        ...


class Moments(Part, Protocol):
    """Sums over pairs. ``+`` and ``-`` are their only algebra."""

    def add(self, codes: Array, unit: NDArray[np.intp]) -> None:
        """Add the units whose rows are ``codes``."""
        ...

    def __add__(self, other: Self) -> Self: ...
    def __sub__(self, other: Self) -> Self: ...


@dataclass(frozen=True, eq=False)
class Solution:
    """What an engine found.

    Attributes
    ----------
    map : Part
        Features to embedding: callable, with ``width``, ``values``, ``choice``.
    controls : mapping of name to Part
        The same kind of map, learned without what pairs say.
    noise : float
        Eigenvalue that pairs without meaning reach.
    rows : list
        The table that the label-free choice was made from.
    gradient : Part or None
        Features to what plain gradient descent on the same pairs would learn first, in that
        order; ``values`` are the eigenvalues γ of the uncentred Γ.
    """

    map: Any
    controls: Mapping[str, Any]
    noise: float
    rows: list[Row]
    gradient: Any = None


class Engine(Protocol):
    """From pairs to an encoder: sees every batch once, then gives its solution."""

    name: ClassVar[str]

    def learn(
        self, batches: Iterable[Batch], pretext: Pretext, encoder: Encoder, seed: int
    ) -> Iterator[tuple[Batch, Array]]:
        """Learn from the pairs of every batch; yield it with its own codes, to be kept."""
        ...

    def solve(self, observe: Observer) -> Solution:
        """The map, and its controls."""
        ...


def ignore(event: str, facts: Mapping[str, Any]) -> None:
    """The observer that does nothing."""


def concatenate(batches: Iterable[Batch]) -> Batch:
    """One batch from several with the same data names."""
    parts = list(batches)
    if len(parts) == 1:
        return parts[0]
    names = parts[0].data.keys()
    data = {name: np.concatenate([part.data[name] for part in parts]) for name in names}
    ids, group, digest = (
        np.concatenate([getattr(part, column) for part in parts])
        for column in ("ids", "group", "digest")
    )
    return Batch(ids, data, group, digest)
