"""Fine-tuning a network on labels, without losing what it knew.

A linear probe first (A. Kumar et al., ICLR 2022), then all weights by a small rate that rises
slowly, smaller in early layers (J. Howard & S. Ruder, ACL 2018), while features stay close to those
of before on examples without labels (distillation: Z. Li & D. Hoiem, ECCV 2016). What is kept is a
moving average of the weights. Batch normalisation stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell.adapt.rules import Scorer
from stepwell.interfaces import Observer, StepwellError, ignore
from stepwell.kit.course import fallen
from stepwell.kit.torch import torch_or_error

Shown = Callable[[NDArray[np.intp], int], Any]
"""Rows and a step → what the network is shown of them."""
AVERAGED = 0.1
"""Share of the steps that the average of weights reaches back over, about."""


@dataclass(frozen=True)
class Tuning:
    """How a network is fine-tuned.

    Attributes
    ----------
    steps, batch : int
    rate : float
        At its highest.
    warmup : float
        Share of the steps over which the rate rises from 0; a cosine to 0 follows.
    falloff : float
        The rate of a layer relative to that of the next.
    keep : float
        Weight of staying close to the features of before, relative to their variance.
    lora : int
        Rank of low-rank changes that are trained instead of the weights (E. Hu et al., ICLR 2022);
        0: the weights themselves.
    clip : float
        Largest norm of the gradient.
    """

    steps: int
    batch: int = 64
    rate: float = 1e-3
    warmup: float = 0.5
    falloff: float = 0.8
    keep: float = 10.0
    lora: int = 0
    clip: float = 1.0
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Share of the highest rate at a step, counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return (step + 1) / rising
        return fallen((step - rising) / max(self.steps - rising, 1))


class Tuner:
    """Fine-tunes a copy of a network.

    Parameters
    ----------
    module : torch module
        Prepared inputs → (n, d) features. It stays as it is.
    prepare : callable
        What is shown → what the module takes.
    probe : Scorer
        Linear in its features: what the head begins from.
    tuning : Tuning
    """

    def __init__(self, module: Any, prepare: Callable, probe: Scorer, tuning: Tuning) -> None:
        torch = torch_or_error()
        self._before, self._prepare, self.tuning = module.eval(), prepare, tuning
        self.module = deepcopy(module).requires_grad_(True).eval()
        device = next(module.parameters()).device
        weight, bias = (torch.tensor(x, dtype=torch.float32) for x in (probe.weight, probe.bias))
        self.head = torch.nn.Linear(weight.shape[1], len(weight)).to(device)
        self.head.load_state_dict({"weight": weight, "bias": bias})
        self._trained = _low_rank(self.module, tuning.lora) if tuning.lora else self.module
        self._device = device

    def run(
        self,
        shown: Shown,
        truth: NDArray[np.intp],
        others: Shown | None,
        count: int,
        tell: Observer = ignore,
    ) -> None:
        """Train on ``truth``, labels of rows that ``shown`` shows; ``others`` shows ``count`` rows
        without labels, whose features are to stay."""
        torch, tuning = torch_or_error(), self.tuning
        optimizer = torch.optim.AdamW(self._groups(), weight_decay=0.01, fused=True)
        highest = [group["lr"] for group in optimizer.param_groups]
        both = torch.nn.ModuleList([self._trained, self.head])
        averaged = _average(both, tuning.steps)
        rng = np.random.default_rng(tuning.seed)
        classes = torch.as_tensor(truth).to(self._device)
        weights = [p for p in both.parameters() if p.requires_grad]
        for step in range(tuning.steps):
            for group, most in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = most * tuning.rate_at(step)
            rows = rng.choice(len(truth), min(tuning.batch, len(truth)), replace=False)
            loss = self._loss(shown(rows, step), classes[rows])
            if others is not None and tuning.keep:
                unlabelled = rng.choice(count, min(tuning.batch, count), replace=False)
                loss = loss + tuning.keep * self._moved(others(unlabelled, step))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, tuning.clip)
            optimizer.step()
            averaged.update_parameters(both)
            tell("tune", {"done": step + 1, "of": tuning.steps, "loss": float(loss.detach())})
        both.load_state_dict(averaged.module.state_dict())
        if not all(bool(torch.isfinite(p).all()) for p in both.parameters()):
            raise StepwellError("Expected finite weights, found others: lower --rate.")
        if tuning.lora:
            self.module = self._trained.merge_and_unload()

    def _loss(self, x: Any, truth: Any) -> Any:
        torch = torch_or_error()
        features = self._trained(self._prepare(x))
        return torch.nn.functional.cross_entropy(self.head(features), truth)

    def _moved(self, x: Any) -> Any:
        """Mean squared distance of features from those of before, relative to their variance."""
        torch = torch_or_error()
        x = self._prepare(x)
        with torch.no_grad():
            before = self._before(x)
            spread = (before - before.mean(0)).square().sum(1).mean().clamp_min(1e-12)
        return (self._trained(x) - before).square().sum(1).mean() / spread

    def _groups(self) -> list[dict[str, Any]]:
        """Weights by depth, each with its rate; the head with the highest."""
        tuning, layers = self.tuning, dict[str, list[Any]]()
        for name, weight in self._trained.named_parameters():
            if weight.requires_grad:
                layers.setdefault(layer_of(name), []).append(weight)
        depth = len(layers)
        found = [
            {"params": weights, "lr": tuning.rate * tuning.falloff ** (depth - 1 - place)}
            for place, weights in enumerate(layers.values())
        ]
        return [*found, {"params": list(self.head.parameters()), "lr": tuning.rate}]

    def between(self, share: float, probe: Scorer) -> tuple[dict[str, Any], Scorer]:
        """Weights and head that much of the way from before to after (WiSE-FT: M. Wortsman et al.,
        CVPR 2022)."""
        old, new = self._before.state_dict(), self.module.state_dict()
        state = {
            name: torch_lerp(old[name], new[name], share) if value.is_floating_point() else value
            for name, value in old.items()
        }
        after = [p.detach().cpu().double().numpy() for p in (self.head.weight, self.head.bias)]
        sides = zip((probe.weight, probe.bias), after, strict=True)
        return state, Scorer(*(np.asarray(a + share * (b - a)) for a, b in sides))


def torch_lerp(old: Any, new: Any, share: float) -> Any:
    """A tensor between two, exactly the one or the other at 0 and 1."""
    if share in (0.0, 1.0):
        return (new if share else old).detach().clone()
    return torch_or_error().lerp(old.detach(), new.detach().to(old.device), share)


def layer_of(name: str) -> str:
    """The layer that a weight is in: its name up to the first number, or without its last word."""
    words = name.split(".")
    for place, word in enumerate(words):
        if word.isdigit():
            return ".".join(words[: place + 1])
    return ".".join(words[:-1])


def _average(both: Any, steps: int) -> Any:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    decay = max(0.0, 1 - 1 / max(AVERAGED * steps, 1))
    return AveragedModel(both, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _low_rank(module: Any, rank: int) -> Any:
    """The module with low-rank changes of all its matrices and filters, which alone are trained."""
    try:
        import peft
    except ImportError:
        raise StepwellError(
            "Expected peft for --lora, found none: pip install 'stepwell[lora]'."
        ) from None
    torch = torch_or_error()
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    names = [
        name
        for name, part in module.named_modules()
        if isinstance(part, kinds) and getattr(part, "groups", 1) == 1
    ]
    if not names:
        raise StepwellError("Expected a network with matrices or filters for --lora, found none.")
    exactly = f"^({'|'.join(map(re.escape, names))})$"  # a list is matched by the ends of names
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=exactly)
    return peft.get_peft_model(module, config)
