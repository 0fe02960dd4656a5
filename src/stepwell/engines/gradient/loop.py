"""The training loop: named steps, one after the other."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.engines.gradient.ahead import Ahead
from stepwell.engines.gradient.batchnorm import over_ranks
from stepwell.engines.gradient.checkpoint import random_state, set_random_state
from stepwell.engines.gradient.network import Network, Teacher, grouped
from stepwell.engines.gradient.plan import Plan
from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.names import nearest

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
        self._views, self._prepare = views, prepare
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
        self.waited, self.began = 0.0, time.perf_counter()
        _warn_of_parts(plan)

    def steps(self, until: int | None = None) -> Any:
        """Train; yields after each step, when weights, loss and counts are all of it."""
        end = self.plan.steps if until is None else until
        self.network.train()
        self.began, self.waited = time.perf_counter(), 0.0
        first = self.step
        numbers = range(first * self.plan.accumulate, end * self.plan.accumulate)
        with Ahead(self._views, numbers) as batches:
            for _ in range(first, end):
                self._set_rate()
                loss = self._gradients(batches)
                self._update()
                self._teach()
                self.step += 1
                self.loss = float(loss)
                yield self.step

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)

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
            targets = [self.teacher(torch.cat(views))]
            targets = list(targets[0].split([len(v) for v in views]))
        else:
            targets = [z.detach() for z in projected] if objective.compares else []
        seen = [self._everyone(z, True) for z in seen]
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
        if self.plan.clip:
            norm = self.fabric.clip_gradients(
                self._run, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
            )
            self.norm = float(norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _teach(self) -> None:
        if self.teacher is not None:
            self.teacher.follow(self.network, self.plan.momentum_at(self.step))

    def state(self) -> dict[str, Any]:
        """All that a step depends on."""
        found = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random_state(),
        }
        if self.teacher is not None:
            found["teacher"] = self.teacher.state_dict()
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.teacher is not None:
            self.teacher.load_state_dict(state["teacher"])
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


def check_batch(batch: int, ranks: int) -> None:
    """Raise where a batch can't be compared within, or not be shared evenly."""
    if batch % ranks:
        raise UsageError(
            f"Expected a batch that {ranks} ranks can share evenly, found {batch}: "
            f"take {max(1, batch // ranks) * ranks}."
        )
    if batch < 4:
        raise StepwellError(
            f"Expected batches of at least 4 examples to compare, found {batch}: raise --batch, "
            f"or give more examples."
        )
