"""The training loop: named steps, one after the other."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from stepwell.engines.gradient.ahead import Ahead
from stepwell.engines.gradient.batchnorm import over_ranks
from stepwell.engines.gradient.checkpoint import random_state, set_random_state
from stepwell.engines.gradient.network import Network, Teacher, grouped
from stepwell.engines.gradient.plan import Plan
from stepwell.engines.gradient.watch import Look, spread_of
from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest

MEASURED = 12
"""Layers whose change is measured, at most."""
Views = Callable[[int], Sequence[Any]]
"""Step → V arrays of views, row by row of the same examples; of this rank's examples."""


class Trainer:
    """Trains a network on views.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric
        Launched.
    backbone, objective : torch modules
        See :class:`~stepwell.engines.gradient.network.Network`; trained in place.
    views : callable
    prepare : callable
        Array of views → tensor as the backbone expects it.
    plan : Plan
    """

    def __init__(
        self,
        fabric: Any,
        backbone: Any,
        objective: Any,
        views: Views,
        prepare: Callable[[Any], Tensor],
        plan: Plan,
    ) -> None:
        self.fabric, self.plan, self.step = fabric, plan, 0
        self.views_of, self._prepare = views, prepare
        self.network = Network(backbone, objective)
        if fabric.world_size > 1:
            over_ranks(self.network)
        self.teacher = Teacher(self.network) if objective.teacher else None
        if self.teacher is not None:
            self.teacher.backbone.to(fabric.device)
            self.teacher.projector.to(fabric.device)
        optimizer = _optimizer(self.network, plan)
        run = torch.compile(self.network) if plan.compiled else self.network
        self._run, self.optimizer = fabric.setup(run, optimizer)
        self.loss, self.norm = math.nan, math.nan
        self.pace, self.measures = 1.0, False
        self._change, self._projected = math.nan, None
        self.waited, self.began = 0.0, time.perf_counter()
        _warn_of_parts(plan)

    def steps(self, until: int | None = None) -> Any:
        """Train; yields after each step, when weights, loss and counts are all of it."""
        end = self.plan.steps if until is None else until
        self.network.train()
        self.began, self.waited = time.perf_counter(), 0.0
        first = self.step
        numbers = range(first * self.plan.accumulate, end * self.plan.accumulate)
        with self._ahead(numbers) as batches:
            for _ in range(first, end):
                self._set_rate()
                self.loss = float(self._gradients(batches))
                self._update()
                self._teach()
                self.step += 1
                yield self.step

    def _ahead(self, numbers: range) -> Any:
        """Views, made ahead where another device trains; on the same cores that would only
        make two kinds of threads wait for each other."""
        if self.fabric.device.type == "cpu":
            return nullcontext(map(self.views_of, numbers))
        return Ahead(self.views_of, numbers)

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step) * self.pace

    def _gradients(self, batches: Any) -> Tensor:
        """Gradients of a batch, in as many parts as the plan says; returns its loss."""
        total = torch.zeros((), device=self.fabric.device)
        parts = self.plan.accumulate
        for part in range(parts):
            views = self._next(batches)
            with self.fabric.no_backward_sync(self._run, enabled=part < parts - 1):
                loss = self._loss(views)
                self.fabric.backward(loss / parts)
            total += loss.detach() / parts
        return total

    def _next(self, batches: Any) -> list[Tensor]:
        begin = time.perf_counter()
        arrays = next(batches)
        self.waited += time.perf_counter() - begin
        return [self._prepare(each) for each in arrays]

    def _loss(self, views: list[Tensor]) -> Tensor:
        """The objective on the views of all ranks."""
        seen, projected = self._forward(self._run, views)
        objective = self.network.objective
        if self.teacher is not None:
            with self.fabric.autocast():
                whole = self.teacher(torch.cat(views)).float()
            targets = list(whole.split([len(v) for v in views]))
        else:
            targets = [z.detach() for z in projected] if objective.compares else []
        seen = [self._everyone(z, True) for z in seen]
        self._projected = seen[0].detach() if self.measures else None
        loss: Tensor = objective.loss(seen, [self._everyone(z, False) for z in targets])
        return loss

    @staticmethod
    def _forward(run: Any, views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """All views in one pass: batch normalisation sees them together."""
        seen, projected = run(torch.cat(views))
        sizes = [len(view) for view in views]
        return list(seen.float().split(sizes)), list(projected.float().split(sizes))

    def _everyone(self, z: Tensor, gradient: bool) -> Tensor:
        """Rows of all ranks, with their gradients."""
        if self.fabric.world_size == 1:
            return z
        found: Tensor = self.fabric.all_gather(z, sync_grads=gradient)
        return found.flatten(0, 1)

    def _update(self) -> None:
        norm = self.fabric.clip_gradients(
            self._run,
            self.optimizer,
            max_norm=self.plan.clip or math.inf,
            error_if_nonfinite=False,
        )
        self.norm = float(norm)
        # What is not finite would spoil the weights for good. A gradient scaler leaves such
        # steps out by itself, and learns from them.
        if self._scaled or (math.isfinite(self.loss) and math.isfinite(self.norm)):
            before = [p.clone() for p in self._layers()] if self.measures else []
            self.optimizer.step()
            self._change = self._changed(before)
        self.optimizer.zero_grad(set_to_none=True)

    @property
    def _scaled(self) -> bool:
        return self.plan.precision.startswith("16")

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
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        set_random_state(state["random"])

    @property
    def wait(self) -> float:
        """Share of the time spent waiting for data."""
        return self.waited / max(time.perf_counter() - self.began, 1e-9)


def _optimizer(network: Network, plan: Plan) -> Any:
    kinds = {n for n in dir(torch.optim) if isinstance(getattr(torch.optim, n), type)}
    kinds -= {"Optimizer", "LBFGS", "SparseAdam"}
    if plan.optimizer not in kinds:
        raise UsageError(
            f"Expected an optimizer of torch.optim, found {plan.optimizer!r}."
            f"{nearest(plan.optimizer, kinds)}"
        )
    more = {"momentum": 0.9} if plan.optimizer == "SGD" else {}
    kind = getattr(torch.optim, plan.optimizer)
    return kind(grouped(network, plan.decay), lr=plan.rate, **more)


def _warn_of_parts(plan: Plan) -> None:
    if plan.accumulate > 1:
        warnings.warn(
            f"Each of the {plan.accumulate} parts of a batch is compared within itself: that is "
            f"not the same as one batch of {plan.batch}.",
            stacklevel=3,
        )


def check_batch(batch: int, parts: int, ranks: int, examples: int) -> None:
    """Raise where a batch can't be compared within, or not be shared evenly.

    Raises
    ------
    UsageError, StepwellError
    """
    shares = parts * ranks
    if batch % shares:
        raise UsageError(
            f"Expected a batch that {shares} parts (of accumulation and ranks) share evenly, found "
            f"{batch}: take {max(2, round(batch / shares)) * shares}."
        )
    if batch < 4 or batch < 2 * shares:
        raise StepwellError(
            f"Expected at least 4 examples a batch and 2 a part to compare, found {batch} in "
            f"{shares} parts: raise --batch, or give more examples."
        )
    if batch > examples:
        raise UsageError(
            f"Expected a batch of at most all {examples:,} examples, found {batch:,}: lower "
            f"--batch."
        )
