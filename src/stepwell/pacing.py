"""How a training is planned: speed measured on steps that are undone, and a batch that fits."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

from stepwell.engines.gradient.plan import FEW, check_batch, fitting_batch, planned
from stepwell.interfaces import StepwellError
from stepwell.kit.torch import out_of_memory, torch_or_error
from stepwell.staircase.records import thinned
from stepwell.wishing import Wish

LOOKING, LOOKS = 0.02, 24
"""Share of the time that logging may take, and records that are made whatever they take."""
WARM, WARMER, LONG = 3, 12, 1.0
"""Steps that the speed is measured on, and which are then undone: more where these took no longer
than so many seconds."""


def check_plan(training: Any, plan: Any) -> None:
    """Raise where a batch can not be shared evenly, or not be compared within."""
    check_batch(plan.batch, plan.accumulate, training.fabric.world_size, len(training.data))


def plan_for(training: Any, wish: Wish) -> tuple[Any, set[int]]:
    """The plan, and the steps to look at; speed is measured where time is what is given."""
    precision = training.fabric.strategy.precision.precision
    fitting = fitting_batch(len(training.data))
    ranks = training.fabric.world_size
    told = {"precision": precision, **_suiting(training.encoder, fitting, ranks), **wish.plan}
    told["seed"] = training.seed
    batch = wish.plan.get("batch")
    if batch is not None and batch < FEW <= fitting and not training.objective.alone:
        told["batch"] = fitting
        why = f"so few tell nothing apart, and there are {len(training.data):,} examples"
        facts = {"step": 0, "kind": "batch too small", "why": why}
        facts |= {"did": f"batches of {fitting} instead of {batch}"}
        training.tell("regulate", facts)
        training.changed.append(facts)
    draft = planned(len(training.data), wish.samples or len(training.data), **told)
    check_plan(training, draft)
    training.plan = draft
    begin = time.perf_counter()
    training.showing.renew(0)
    renewing = time.perf_counter() - begin
    training.showing.forget()
    # What was measured differs between ranks; the plan must not.
    step, looking = _fitting(training, draft)
    seconds = step + renewing * draft.batch / max(len(training.data), draft.batch)
    seconds, looking = training.fabric.broadcast((seconds, looking))
    samples = wish.samples
    if samples is None:
        epoch = len(training.data) / draft.batch * seconds
        left = training.fabric.broadcast(wish.left(epoch) if wish.left else 0.0)
        left = max(left, 0.0) / (2 if wish.shuffled else 1)
        samples = max(1, int(left / (seconds * (1 + LOOKING)))) * draft.batch
    plan = planned(len(training.data), samples, **told)
    most = int(LOOKING * plan.steps * seconds / max(looking, 1e-9))
    return plan, thinned(plan.steps, max(most, LOOKS))


def _suiting(encoder: Any, fitting: int, ranks: int) -> dict[str, Any]:
    """What an encoder would be trained with, where nothing else is said; a batch that fits, and
    that ranks share evenly."""
    suits = dict(getattr(encoder, "suits", {}))
    if "batch" in suits:
        each = max(2, -(-min(suits["batch"], fitting) // ranks))
        suits["batch"] = each * ranks
    return suits


def _fitting(training: Any, draft: Any) -> tuple[float, float]:
    """:func:`_speed`, or an error that says which batch fits into memory."""
    try:
        return _speed(training, draft)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    size = draft.batch // 2
    while size >= 4 and training.fabric.world_size == 1:  # several would wait for each other
        try:
            _speed(training, replace(draft, batch=size, accumulate=1))
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            size //= 2
        else:
            break
    hint = f"{size} fits" if size >= 4 and training.fabric.world_size == 1 else "take a smaller one"
    raise StepwellError(
        f"Expected a batch that fits into the memory of {training.fabric.device}, found that "
        f"{draft.batch} does not: --batch {hint}, or a smaller backbone."
    )


def _speed(training: Any, draft: Any) -> tuple[float, float]:
    """Seconds of a step, and of a look at the spectrum; measured on steps that are undone."""
    torch = torch_or_error()
    modules = (training.encoder.module, training.objective)
    before = [deepcopy(module.state_dict()) for module in modules]
    state = torch.get_rng_state()
    try:
        trainer, times = training.trainer(draft), [time.perf_counter()]
        for most in (WARM, WARMER):
            for _ in trainer.steps(until=most):
                times.append(time.perf_counter())
            # Ranks must all go as far, whatever their clocks say.
            if training.fabric.broadcast(times[-1] - times[0]) > LONG:
                break
        training.spectrum(0)
        looking = time.perf_counter() - times[-1]
    finally:
        for module, weights in zip(modules, before, strict=True):
            module.load_state_dict(weights)
            module.zero_grad(set_to_none=True)
        torch.set_rng_state(state)
    return median(after - before for before, after in pairwise(times)), looking
