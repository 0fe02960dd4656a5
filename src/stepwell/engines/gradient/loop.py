"""The training loop: named steps, one after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stepwell.engines.gradient.ahead import Batches, Shows
from stepwell.engines.gradient.batchnorm import over_ranks
from stepwell.engines.gradient.checkpoint import random_state, set_random_state
from stepwell.engines.gradient.network import Network, Teacher, covered, grouped
from stepwell.engines.gradient.plan import Plan, warn_of_parts
from stepwell.engines.gradient.watch import Look, spread_of
from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest

MEASURED = 12
"""Layers whose change is measured, at most."""
FUSED = ("Adam", "AdamW")
"""Optimizers whose step is one kernel: on two cores a sixth of the time. SGD's leaves out what is
not finite but keeps it as its momentum."""


@dataclass(frozen=True, eq=False)
class Shown:
    """:class:`~stepwell.interfaces.Seen` as tensors: (n, c, h, w) views, (n, q) pseudo-labels,
    (n, g, g) hidden patches of each view, and the views of full size that a teacher sees."""

    views: list[Tensor]
    told: dict[str, Tensor]
    hidden: list[Tensor | None]
    full: list[Tensor]


class Trainer:
    """Trains a network on views.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric
        Launched.
    backbone, objective : torch modules
        See :class:`~stepwell.engines.gradient.network.Network`; trained in place.
    shows : callable
    prepare : callable
        Array of views → tensor as the backbone expects it.
    plan : Plan
    """

    def __init__(
        self,
        fabric: Any,
        backbone: Any,
        objective: Any,
        shows: Shows,
        prepare: Callable[[Any], Tensor],
        plan: Plan,
    ) -> None:
        self.fabric, self.plan, self.step = fabric, plan, 0
        self.shows, self._prepare = shows, prepare
        self.network = Network(backbone, objective)
        if fabric.world_size > 1:
            for part in (backbone, objective.projector, objective.predictor):
                over_ranks(part)  # what a loss computes sees the rows of all ranks anyway
        self.teacher = Teacher(self.network) if objective.teacher else None
        if self.teacher is not None:
            self.teacher.backbone.to(fabric.device)
            self.teacher.projector.to(fabric.device)
        self._run, self.optimizer = self._set_up()
        self.loss, self.norm = math.nan, math.nan
        self.pace, self.measures = 1.0, False
        self._change, self._projected = math.nan, None
        self.waited, self.began = 0.0, time.perf_counter()
        warn_of_parts(plan)

    def _set_up(self) -> tuple[Any, Any]:
        """The network as it is called, on its device, and its optimizer."""
        run = torch.compile(self.network) if self.plan.compiled else self.network
        fused = self.plan.optimizer in FUSED and not self._scaled
        optimizer = optimizer_of(self.network, self.plan, fused)
        found: tuple[Any, Any] = self.fabric.setup(run, optimizer)
        return found

    def steps(self, until: int | None = None) -> Any:
        """Train; yields after each step, when weights, loss and counts are all of it."""
        end = self.plan.steps if until is None else until
        self.network.train()
        self.began, self.waited = time.perf_counter(), 0.0
        first = self.step
        numbers = range(first * self.plan.accumulate, end * self.plan.accumulate)
        batches = Batches(self.shows, numbers, self.fabric.device)
        for _ in range(first, end):
            self._set_rate()
            self._update(self._gradients(batches))
            self._teach()
            self.step += 1
            yield self.step

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step) * self.pace

    def _gradients(self, batches: Batches) -> Tensor:
        """Gradients of a batch, in as many parts as the plan says; returns its loss."""
        total = torch.zeros((), device=self.fabric.device)
        parts = self.plan.accumulate
        for part in range(parts):
            shown = self._next(batches)
            with self._unsynced(part < parts - 1):
                loss = self._loss(shown)
                self.fabric.backward(loss / parts)
            total += loss.detach() / parts
            batches.prepare()
        return total

    def _unsynced(self, wanted: bool) -> Any:
        """Where ranks need not tell each other their gradients yet."""
        return self.fabric.no_backward_sync(self._run, enabled=wanted)

    def _next(self, batches: Batches) -> Shown:
        begin = time.perf_counter()
        seen, device = batches.next(), self.fabric.device
        self.waited += time.perf_counter() - begin
        told = {name: torch.as_tensor(each).to(device).long() for name, each in seen.told.items()}
        hidden = [
            None if each is None else torch.as_tensor(each).to(device)
            for each in seen.hidden or [None] * len(seen.views)
        ]
        views = [self._prepare(each) for each in seen.views]
        full = [view for view in views if view.shape == views[0].shape]
        if seen.whole is not None:
            full = [self._prepare(each) for each in seen.whole]
        return Shown(views, told, hidden, full)

    def _loss(self, shown: Shown) -> Tensor:
        """The objective on what the networks of all ranks say."""
        objective = self.network.objective
        views = [covered(x, mask) for x, mask in zip(shown.views, shown.hidden, strict=True)]
        seen, projected = self._run(views)
        targets = self._targets(shown.full, projected)
        told = shown.told
        if objective.takes == "hidden":
            told = told | {"hidden": torch.stack([m for m in shown.hidden if m is not None], 1)}
            told |= {"pixels": torch.stack(shown.full, 1)} if objective.pixels else {}
        if not objective.alone:
            seen = [self._everyone(z, True) for z in seen]
            targets = [self._everyone(z, False) for z in targets]
            told = {name: self._everyone(each, False) for name, each in told.items()}
        if self.measures and objective.collapses:
            whole = seen[0] if objective.reads == "whole" else seen[0][:, 0]
            self._projected = whole.detach()
        else:
            self._projected = None
        loss: Tensor = objective.loss(seen, targets, told)
        return loss

    def _targets(self, full: list[Tensor], projected: list[Tensor]) -> list[Tensor]:
        """What a teacher says of the full views, where there is one; or the network itself."""
        if self.teacher is not None:
            with self.fabric.autocast():
                return self.teacher(full)
        compares = self.network.objective.compares
        return [z.detach() for z in projected[: len(full)]] if compares else []

    def _everyone(self, z: Tensor, gradient: bool) -> Tensor:
        """Rows of all ranks, with their gradients."""
        if self.fabric.world_size == 1:
            return z
        found: Tensor = self.fabric.all_gather(z, sync_grads=gradient)
        return found.flatten(0, 1)

    def _update(self, loss: Tensor) -> None:
        norm = self._clipped(self.plan.clip or math.inf)
        facts = self._of_all(torch.stack([loss, norm.to(loss)]))
        # What is not finite would spoil the weights for good. A gradient scaler leaves such
        # steps out by itself, and learns from them; so does a fused optimizer, when it is told:
        # the device then need not be waited for before it is given the step.
        if self._fused:
            self.optimizer.optimizer.found_inf = (~facts.isfinite().all()).float()
        if self._fused or self._scaled or bool(facts.isfinite().all()):
            before = [p.clone() for p in self._layers()] if self.measures else []
            self.optimizer.step()
            self._change = self._changed(before)
        self.loss, self.norm = facts.tolist()
        self.optimizer.zero_grad(set_to_none=True)

    def _of_all(self, facts: Tensor) -> Tensor:
        """The mean over ranks, so that all do the same: some losses are of a rank's own rows."""
        if self.fabric.world_size == 1:
            return facts
        found: Tensor = self.fabric.all_reduce(facts.detach(), reduce_op="mean")
        return found

    def _clipped(self, most: float) -> Tensor:
        """The norm of the gradient, which is then at most so much."""
        options = {"max_norm": most, "error_if_nonfinite": False}
        found: Tensor = self.fabric.clip_gradients(self._run, self.optimizer, **options)
        return found

    @property
    def _scaled(self) -> bool:
        """Whether gradients are scaled, by a scaler that unscales them before they are clipped."""
        return self.plan.precision.startswith("16")

    @property
    def _fused(self) -> bool:
        return bool(self.optimizer.param_groups[0].get("fused"))

    def _layers(self) -> list[Tensor]:
        """A few matrices and filters, from the first to the last."""
        every = [p for p in self.network.parameters() if p.ndim > 1 and p.requires_grad]
        every = [p.detach() for p in every]
        rows = torch.linspace(0, len(every) - 1, min(len(every), MEASURED)).tolist()
        return [every[round(row)] for row in rows]

    @torch.no_grad()
    def _changed(self, before: list[Tensor]) -> float:
        """Median over layers of how much of itself each has changed by."""
        if not before:
            return math.nan
        after = self._layers()
        sizes = torch.stack(torch._foreach_norm(before))
        apart = torch.stack(torch._foreach_norm(torch._foreach_sub(after, before)))
        return float((apart / (sizes + 1e-12)).median())

    def look(self) -> Look | None:
        """What was measured of the last step; None if nothing was, and its loss is finite."""
        norm = 0.0 if self._scaled else self.norm
        if math.isfinite(self.loss) and math.isfinite(norm) and not self.measures:
            return None
        chance = self.network.objective.chance(self.plan.batch // self.plan.accumulate)
        facts = {"chance": math.nan if chance is None else chance}
        if self._projected is not None and math.isfinite(self.loss):
            names = ("spread", "variance", "rank")
            facts |= dict(zip(names, spread_of(self._projected.cpu().numpy()), strict=True))
        pace = self.plan.rate_at(self.step - 1) * self.pace / max(self.plan.rate, 1e-300)
        return Look(self.step, self.loss, norm, self._change, pace=pace, **facts)

    def publish(self) -> None:
        """Bring the backbone that was given up to date: it is what is trained."""

    def anywhere(self, *flags: bool) -> list[bool]:
        """What is asked for on any rank, where all have to do it together."""
        return list(flags)

    def weights(self) -> dict[str, Any]:
        """Of the network and its teacher."""
        found = {"network": self.network.state_dict()}
        return found | ({"teacher": self.teacher.state_dict()} if self.teacher else {})

    def set_weights(self, weights: dict[str, Any]) -> None:
        """Go back to weights, and forget what the optimizer remembers."""
        self.network.load_state_dict(weights["network"])
        if self.teacher is not None:
            self.teacher.load_state_dict(weights["teacher"])
        self.optimizer.state.clear()

    def _teach(self) -> None:
        if self.teacher is not None:
            self.teacher.follow(self.network, self.plan.momentum_at(self.step))

    def state(self) -> dict[str, Any]:
        """All that a step depends on."""
        return self.weights() | {
            "step": self.step,
            "pace": self.pace,
            "variance": getattr(self.network.objective, "variance", None),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": random_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.step, self.pace = int(state["step"]), float(state["pace"])
        if state["variance"] is not None:
            self.network.objective.variance = state["variance"]
        self.set_weights(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self._as_laid_out()
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        set_random_state(state["random"])

    def _as_laid_out(self) -> None:
        """Lay out what the optimizer remembers as the weights are in memory: fused kernels take
        for granted that it is, and files do not keep it."""
        if not self._fused:
            return
        for weight, facts in self.optimizer.state.items():
            for name, value in facts.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    facts[name] = torch.empty_like(weight).copy_(value)

    @property
    def wait(self) -> float:
        """Share of the time spent waiting for data."""
        return self.waited / max(time.perf_counter() - self.began, 1e-9)


def optimizer_of(network: Network, plan: Plan, fused: bool = False) -> Any:
    """Of ``torch.optim``; ``fused``: in one kernel that can leave out what is not finite."""
    kinds = {n for n in dir(torch.optim) if isinstance(getattr(torch.optim, n), type)}
    kinds -= {"Optimizer", "LBFGS", "SparseAdam"}
    if plan.optimizer not in kinds:
        raise UsageError(
            f"Expected an optimizer of torch.optim, found {plan.optimizer!r}."
            f"{nearest(plan.optimizer, kinds)}"
        )
    more: dict[str, Any] = {"momentum": 0.9} if plan.optimizer == "SGD" else {}
    more |= {"fused": True} if fused else {}
    kind = getattr(torch.optim, plan.optimizer)
    return kind(grouped(network, plan.decay), lr=plan.rate, **more)
