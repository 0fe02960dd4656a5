"""``pretrained``: a text model of the library transformers, or of sentence-transformers, from a
folder on disk; frozen, or trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from stepwell.encoders.network.encoder import default_device
from stepwell.encoders.transformer.encoder import TransformerEncoder
from stepwell.encoders.transformer.saved import LONGEST, POOLINGS, built, opened
from stepwell.encoders.transformer.tokens import Tokens
from stepwell.interfaces import Batch, Observer, StepwellError, ignore
from stepwell.kit.schema import Schema, Table, entries, several, whole, word, yes_no
from stepwell.kit.texts import SPECIAL
from stepwell.kit.torch import arrays_of, judging, no_larger, torch_or_error

_FRAME = ("pad", "before", "after", "pooling", "normed")
"""What the module is told of how it is built."""


class PretrainedEncoder(TransformerEncoder):
    """Features of texts by a model that others have trained.

    Parameters
    ----------
    backbone : path
        A folder with ``config.json``, ``model.safetensors`` and a tokenizer, as
        ``save_pretrained`` of transformers or ``save`` of sentence-transformers writes it. Nothing
        is downloaded, no code of the folder is run.
    device : str, optional
        None: CUDA or MPS where there is one, else the CPU.
    """

    name: ClassVar[str] = "pretrained"
    impartial: ClassVar[bool] = True

    def __init__(self, backbone: str = "", device: str | None = None) -> None:
        self.device, self.backbone = device or default_device(), str(backbone)
        self.style, self.width, self.tokens = "places", 0, Tokens()
        self.module: Any = None
        self._made: dict[str, Any] = {}

    def fit(self, founders: Batch, *, seed: int = 0, observe: Observer = ignore) -> Self:
        """Load model and tokenizer; nothing is trained. One that has both keeps them.

        Raises
        ------
        UsageError
            For a folder without them, or one that only code of its own could read.
        """
        if self.module is not None:
            return self
        model, described, self._made = opened(self.backbone)
        self.tokens = Tokens(described)
        self._place_model(model)
        return self

    def _place_model(self, model: Any) -> None:
        from stepwell.encoders.transformer.pretrained_module import Pretrained

        self.module = Pretrained(model, **{name: self._made[name] for name in _FRAME})
        self.module.to(self.device).eval()
        with judging(self.module):
            self.width = int(self.module(self.placed([[SPECIAL]])).shape[1])

    def _check_tokens(self) -> None:
        """Raise ValueError for tokens and places that the model has no rows of."""
        table, made = self.module.model.get_input_embeddings(), self._made
        rows, frame = len(table.weight), [*made["before"], *made["after"]]
        self.tokens.check_below(rows)
        if max([made["pad"], *frame]) >= rows:
            raise ValueError(f"tokens {frame} and {made['pad']} in a table of {rows}")
        known = _places_of(self.module.model.config)
        if known and made["longest"] + len(frame) > known:
            raise ValueError(f"{made['longest']} places of a model with {known}")

    def places(self) -> int:
        """Of how many places it has features, at most."""
        return int(self._made["longest"])

    @property
    def vocabulary(self) -> None:
        """No table that tokens are scored by: it is compared by what it says of whole texts."""
        return

    @property
    def suits(self) -> dict[str, Any]:
        """Fields of a plan that suit it: it knows much already, so a small rate."""
        return {"batch": 32, "rate": 5e-5}

    def _encoded(self, texts: Any) -> list[Any]:
        found = self.tokens.encode([str(text) for text in texts])
        return [each + np.uint32(SPECIAL) for each in found]

    def _twin(self, seed: int, device: str) -> Self:
        twin = type(self)(self.backbone, device)
        twin.tokens, twin._made = self.tokens, self._made
        twin._place_model(built(self._made["config"], seed))
        return twin

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """How the model is built; its weights and its tokenizer as arrays."""
        described = np.frombuffer(self.tokens.described.encode(), np.uint8)
        settings = {"backbone": self.backbone, "made": self._made}
        return settings, arrays_of(self.module) | {"vocabulary": described}

    @staticmethod
    def schema(settings: Mapping[str, Any]) -> Schema:
        """What a run may hold of it."""
        rules = {"backbone": word(), "made": _check_made}
        return Schema(rules, {"vocabulary": Table("u", ("bytes",), size=1)}, others=True)

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`state`."""
        torch, encoder = torch_or_error(), cls(settings["backbone"])
        encoder._made = dict(settings["made"])
        weights = {name: np.asarray(value) for name, value in arrays.items()}
        encoder.tokens = Tokens(weights.pop("vocabulary").tobytes().decode())
        with no_larger(weights):
            encoder._place_model(built(encoder._made["config"], 0))
        encoder._check_tokens()
        try:
            encoder.module.load_state_dict({n: torch.tensor(value) for n, value in weights.items()})
        except RuntimeError as error:
            raise StepwellError(
                f"Expected weights as this version of transformers names them, found those of "
                f"another: {str(error).splitlines()[-1].strip()}"
            ) from None
        return encoder


def _places_of(config: Any) -> int:
    """Places that a model knows at most; 0 where it knows no end."""
    return max(int(getattr(config, "max_position_embeddings", 0) or 0), 0)


def _check_made(made: Any) -> None:
    """Raise ValueError for what says nothing of how a model is built."""
    ids = several(whole(), 100)
    rules = {"config": word(), "pad": whole(), "before": ids, "after": ids}
    rules |= {"pooling": word(*POOLINGS), "normed": yes_no, "longest": whole(1, LONGEST)}
    entries(rules)(made)
