"""``transformer``: texts as the mean of what a transformer says at each of their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stepwell.encoders.copies import Copies
from stepwell.encoders.network.encoder import default_device
from stepwell.encoders.transformer.tokens import Tokens, cut, filled
from stepwell.interfaces import Batch, Observer, UsageError, ignore
from stepwell.kit.hashing import digest_rows
from stepwell.kit.sampling import evenly
from stepwell.kit.schema import Schema, Table, entries, number, whole, word, yes_no
from stepwell.kit.texts import END
from stepwell.kit.torch import arrays_of, judging, no_larger, torch_or_error

SIZES = {"fast": (128, 2), "default": (192, 3), "large": (384, 6)}
"""Width and layers, by preset."""
HEADS = 4
STYLES = ("places", "next", "answers")
VOCABULARY = 8000
"""Pieces of words, at most; of texts that go on, bytes."""
LONGEST = 128
"""Tokens of a row; longer texts are several."""
SUITS: dict[str, dict[str, Any]] = {
    "places": {"batch": 128},
    "next": {"batch": 8, "rate": 3e-3},
    "answers": {"batch": 128},
}
"""How it is trained where nothing else is said. What comes next is learned in many small updates:
tiny-Shakespeare, 100 s on two cores, nats on a held-out part of the training text: 2.12 with
batches of 16 rows of 256 and a rate of 0.0015, 1.72 with 8 of 128 and 0.003."""
DROPPED = {"places": 0.2, "next": 0.1, "answers": 0.2}
FOUNDERS = 20_000
"""Texts that pieces are counted in, at most."""
_BLOCK = {"cpu": 64}
"""Rows that are embedded at once; 512 elsewhere."""


class TransformerEncoder(Copies):
    """A transformer over pieces of words, to be trained on texts.

    Parameters
    ----------
    preset : {"fast", "default", "large"}
        128, 192 or 384 features in 2, 3 or 6 layers.
    style : {"places", "next", "answers"}
        What it is trained for: to tell tokens from all around them, to tell each from those
        before it (over bytes), or to write answers.
    device : str, optional
        None: CUDA or MPS where there is one, else the CPU.
    """

    name: ClassVar[str] = "transformer"
    kinds: ClassVar[frozenset[str]] = frozenset({"text"})

    def __init__(
        self, preset: str = "default", style: str = "places", device: str | None = None
    ) -> None:
        if style not in STYLES:
            raise UsageError(f"Expected a style of {', '.join(STYLES)}, found {style!r}.")
        self.device = device or default_device()
        self.style, self.backbone = style, f"transformer:{preset}"
        self.width, self._layers = SIZES[preset]
        self.tokens = Tokens()
        self.module: Any = None

    def fit(self, founders: Batch, *, seed: int = 0, observe: Observer = ignore) -> Self:
        """Pieces from founders, and random weights; nothing is trained. One that has both keeps
        them."""
        if self.module is not None:
            return self
        if self.style != "next":
            columns = [evenly(column, FOUNDERS) for column in founders.data.values()]
            self.tokens = Tokens.trained(map(str, chain(*columns)), VOCABULARY)
        self._place(self._shape(), seed)
        return self

    def _shape(self) -> dict[str, Any]:
        return {
            "tokens": len(self.tokens),
            "width": self.width,
            "layers": self._layers,
            "heads": HEADS,
            "dropped": DROPPED[self.style],
            "causal": self.style == "next",
            "answers": self._layers if self.style == "answers" else 0,
        }

    def _place(self, shape: Mapping[str, Any], seed: int) -> None:
        torch = torch_or_error()
        from stepwell.encoders.transformer.modules import Shape, Transformer

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = Transformer(Shape(**shape)).to(self.device).eval()

    def places(self) -> int:
        """Of how many places it has features, at most."""
        return LONGEST

    @property
    def suits(self) -> dict[str, Any]:
        """Fields of a plan that suit it."""
        return SUITS[self.style]

    @property
    def vocabulary(self) -> Any:
        """The table of tokens that it sees."""
        return self.module.embedding

    def placed(self, tokens: Any) -> Any:
        """Tokens as a tensor where the network computes."""
        torch = torch_or_error()
        if not isinstance(tokens, torch.Tensor):
            tokens = torch.as_tensor(np.asarray(tokens, np.int64))
        return tokens.to(self.device).long()

    prepared = placed
    """As the network expects it, which is the same."""

    def inputs(self, batch: Batch) -> NDArray[Any]:
        """What :meth:`prepared` takes of a batch: (n, t) tokens, the first of each text."""
        longest = self.places()
        return filled([each[:longest] for each in self._encoded(batch.data["text"])])

    def laid_out(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Batches of texts as rows of tokens: every text its own, those that are longer several;
        of texts that go on, one after the other, parted by their ends."""
        laid = self._stream if self.style == "next" else self._rows
        for batch in batches:
            yield from laid(batch)

    def _rows(self, batch: Batch) -> Iterator[Batch]:
        longest = self.places()
        tokens = {name: self._encoded(column) for name, column in batch.data.items()}
        if "target" not in tokens:
            pieces, owner = cut(tokens["text"], longest)
            row = {"tokens": filled(pieces, longest)}
        else:
            owner = np.arange(len(batch))
            row = {"tokens": filled(tokens["text"], longest)}
            row["target"] = filled(tokens["target"], longest)
        yield _laid(batch, owner, row)

    def _stream(self, batch: Batch) -> Iterator[Batch]:
        """Each row begins with the last token of the one before it."""
        longest, texts = self.places(), self._encoded(batch.data["text"])
        ended = [np.array([END], np.uint16), *(np.append(text, np.uint16(END)) for text in texts)]
        stream = np.concatenate(ended)
        owner = np.repeat(np.arange(-1, len(texts)), [len(text) for text in ended]).clip(0)
        starts = np.arange(0, max(len(stream) - 1, 1), longest - 1)
        rows = [stream[start : start + longest] for start in starts]
        yield _laid(batch, owner[starts], {"tokens": filled(rows, longest)})

    def _encoded(self, texts: Any) -> list[NDArray[Any]]:
        return self.tokens.encode([str(text) for text in texts])

    def embed(self, batch: Batch) -> NDArray[np.float32]:
        """(n, width) float32 means over the tokens of each text."""
        pieces, owner = cut(self._encoded(batch.data["text"]), self.places())
        size = np.array([max(len(piece), 1) for piece in pieces], np.float32)
        order = np.argsort(size, kind="stable")
        found = np.zeros((len(pieces), self.width), np.float32)
        with judging(self.module):
            block = max(_BLOCK.get(self.device, 512) * LONGEST // max(self.places(), LONGEST), 1)
            for start in range(0, len(order), block):
                rows = order[start : start + block]
                tokens = self.placed(filled([pieces[row] for row in rows]))
                found[rows] = self.module(tokens).float().cpu().numpy()
        whole = np.zeros((len(batch), self.width), np.float32)
        np.add.at(whole, owner, found * size[:, None])
        total = np.bincount(owner, size, len(batch)).astype(np.float32)
        return np.asarray(whole / total[:, None], np.float32)

    def surprises(self, texts: Iterable[str]) -> Iterator[NDArray[np.float64]]:
        """(t + 1,) nats of each token of each text, and of its end, by those before it: at least
        half as many as it can see, where there are as many."""
        return map(self._surprises, texts)

    def _surprises(self, text: str) -> NDArray[np.float64]:
        longest = self.places()
        (tokens,) = self._encoded([text])
        stream = np.concatenate([[END], tokens, [END]]).astype(np.uint16)
        step = longest // 2
        starts = [0, *range(step, max(len(stream) - longest + step, step), step)]
        found = np.zeros(len(stream) - 1)
        for begin in range(0, len(starts), _BLOCK["cpu"]):
            some = starts[begin : begin + _BLOCK["cpu"]]
            rows = filled([stream[start : start + longest] for start in some])
            with judging(self.module):
                x = self.placed(rows)
                said = self.module.scores(self.module.places(x[:, :-1])).float().log_softmax(-1)
                costs = -said.gather(-1, x[:, 1:, None])[..., 0].cpu().numpy()
            for start, own in zip(some, costs, strict=True):
                first = 0 if start == 0 else step - 1
                size = min(longest - 1, len(stream) - 1 - start)
                found[start + first : start + size] = own[first:size]
        return found

    def _twin(self, seed: int, device: str) -> Self:
        twin = type(self)(style=self.style, device=device)
        twin.backbone, twin.tokens = self.backbone, self.tokens
        twin.width, twin._layers = self.width, self._layers
        twin._place(self._shape(), seed)
        return twin

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The shape; the weights and the vocabulary as arrays."""
        described = np.frombuffer(self.tokens.described.encode(), np.uint8)
        shape = {"shape": asdict(self.module.shape)}
        settings = {"style": self.style, "backbone": self.backbone, **shape}
        return settings, arrays_of(self.module) | {"vocabulary": described}

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it: no more weights are made than there are in it."""
        rules = {"style": word(*DROPPED), "backbone": word(), "shape": _check_shape}
        arrays = {"vocabulary": Table("u", ("bytes",), size=1)}
        return Schema(rules, arrays, others=True)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        torch, shape = torch_or_error(), settings["shape"]
        encoder = cls(style=settings["style"])
        encoder.backbone = settings["backbone"]
        encoder.width, encoder._layers = int(shape["width"]), int(shape["layers"])
        weights = {name: np.asarray(value) for name, value in arrays.items()}
        encoder.tokens = Tokens(weights.pop("vocabulary").tobytes().decode())
        with no_larger(weights):
            encoder._place(shape, 0)
        tensors = {name: torch.tensor(value) for name, value in weights.items()}
        encoder.module.load_state_dict(tensors)
        encoder.tokens.check_below(encoder.module.shape.tokens)
        return encoder


def _laid(batch: Batch, owner: NDArray[np.intp], rows: dict[str, NDArray[Any]]) -> Batch:
    """Rows of texts: each is drawn for itself, whosever it is."""
    found = batch.take(owner).with_data(**rows)
    each = (b"".join(row.tobytes() for row in both) for both in zip(*rows.values(), strict=True))
    return replace(found, digest=digest_rows(each))


def _check_shape(shape: Any) -> None:
    """Raise ValueError for what no transformer of ours is."""
    entries({})(shape)
    rules = {"tokens": whole(1), "width": whole(1, 16_384), "layers": whole(0, 1000)}
    rules |= {"heads": whole(1, 1000), "dropped": number(0, 1), "causal": yes_no}
    rules |= {"answers": whole(0, 1000)}
    if not shape.keys() <= rules.keys():
        raise ValueError(f"{', '.join(shape)[:80]}, of which some are unknown")
    entries({name: rules[name] for name in ("tokens", "width", "layers")}, rules)(shape)
