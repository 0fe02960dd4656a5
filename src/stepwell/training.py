"""The gradient engine as learning uses it: a network encoder trained on a source's pairs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.engines import units_of
from stepwell.engines.gradient.plan import FEW, Plan, fitting_batch, planned
from stepwell.engines.gradient.watch import effective_rank
from stepwell.interfaces import Batch, Observer, Pretext, UsageError, ignore
from stepwell.kit.names import nearest
from stepwell.kit.ranks import machines, ranks, ranks_here
from stepwell.kit.stopping import Stopping
from stepwell.kit.stopwatch import Stopwatch
from stepwell.kit.torch import fabric_or_error, torch_or_error
from stepwell.resuming import Keeper
from stepwell.staircase.forecast import next_step, words
from stepwell.staircase.records import EVENT, SAMPLES, group, record_of, schedule

PROBED = 64
"""Examples whose two views the spectrum is logged on."""
AFTER = 0.85
"""Share of a budget after which training ends: embedding all, scores and the page follow."""
LOOKING, LOOKS = 0.02, 24
"""Share of the time that logging may take, and records that are made whatever they take."""
WARM = 3
"""Steps that the speed is measured on, and which are then undone."""
BUDGET_S = 600.0
"""What is trained for if nothing is said."""
TOLD = 20
"""Alarms that a run's configuration lists."""
FOLLOWED = 32
"""Records before a next step is forecast, and then every eighth."""


@dataclass(frozen=True)
class Wish:
    """What a training was told; see :func:`~stepwell.learn`.

    Attributes
    ----------
    samples : int, optional
        Views' examples in all.
    left : callable, optional
        Seconds that training may still take; asked when it begins.
    shuffled : bool
        Train a control on shuffled pairs too, for as many samples.
    plan : mapping
        Fields of :class:`~stepwell.engines.gradient.plan.Plan`.
    """

    objective: str = "barlow_twins"
    samples: int | None = None
    left: Callable[[], float] | None = None
    shuffled: bool = True
    plan: Mapping[str, Any] = field(default_factory=dict)


def wished(told: Mapping[str, Any], budget: float | None, watch: Stopwatch) -> Wish:
    """A wish from settings, checked before anything is read.

    Raises
    ------
    UsageError
        For an unknown objective or setting, or sizes that make no sense.
    """
    plan = {name: value for name, value in told.items() if value is not None}
    plan.pop("device", None)
    objective = str(plan.pop("objective", Wish.objective))
    objective_of(objective)
    samples, shuffled = plan.pop("samples", None), bool(plan.pop("shuffled", True))
    check_plan(plan, samples)
    if samples is not None and budget is not None:
        raise UsageError(
            "Expected samples or a budget to train for, found both: leave one of them out."
        )
    end = BUDGET_S if budget is None and samples is None else budget
    left = None if end is None else lambda: AFTER * end - watch.wall()
    return Wish(objective, samples, left, shuffled, plan)


def check_plan(plan: Mapping[str, Any], samples: int | None) -> None:
    """Raise for settings that are unknown or make no sense."""
    known = {"batch", "optimizer", "rate", "decay", "warmup", "clip", "accumulate", "momentum"}
    known |= {"precision", "compiled"}
    for name, value in plan.items():
        if name not in known:
            raise UsageError(
                f"Expected a setting of training ({', '.join(sorted(known))}), found {name!r}."
                f"{nearest(name, known)}"
            )
        low = 1 if name in ("batch", "accumulate") else 0
        if isinstance(value, (int, float)) and value < low:
            raise UsageError(f"Expected {name} of {low} or more, found {value}.")
    if plan.get("rate") == 0:
        raise UsageError("Expected a learning rate above 0, found 0: nothing would be learned.")
    precisions = ("32-true", "bf16-mixed", "16-mixed")
    if plan.get("precision", "32-true") not in precisions:
        raise UsageError(
            f"Expected a precision ({', '.join(precisions)}), found {plan['precision']!r}."
        )
    if samples is not None and samples < 1:
        raise UsageError(f"Expected at least one sample to train on, found {samples}.")


def objective_of(name: str) -> Any:
    """The class of an objective.

    Raises
    ------
    UsageError
        For an unknown name, with the nearest one.
    """
    torch_or_error()
    from stepwell.objectives import OBJECTIVES

    if name not in OBJECTIVES:
        known = ", ".join(sorted(OBJECTIVES))
        raise UsageError(
            f"Expected an objective ({known}), found {name!r}.{nearest(name, OBJECTIVES)}"
        )
    return OBJECTIVES[name]


def views_of(pretext: Pretext, batch: Batch, seed: int, epoch: int) -> list[Any]:
    """Two arrays of views, row by row of the same examples."""
    partner = getattr(pretext, "partner", None)
    if partner is not None:
        both = [partner(batch, seed, 2 * epoch + side) for side in (0, 1)]
        return [next(iter(side.data.values())) for side in both]
    pairs = next(iter(pretext.pairs(batch, seed, epoch)))
    order, start, _ = units_of(pairs.unit)  # units of two rows or more
    column = next(iter(pairs.x.data.values()))
    return [column[order[start]], column[order[start + 1]]]


class Training:
    """One training of one encoder.

    Parameters
    ----------
    encoder : NetworkEncoder
        Fitted; its module is trained in place.
    pretext : Pretext
    data : Decoded
    wish : Wish
    seed : int
    tell : callable
    keeper : Keeper
        Holds the state of one that was stopped, and writes new ones down.
    shuffled_like : Training, optional
        The one that this is the control of: the same plan, each example paired with another.
    """

    def __init__(
        self,
        encoder: Any,
        pretext: Pretext,
        data: Any,
        wish: Wish,
        seed: int,
        tell: Observer,
        keeper: Keeper,
        shuffled_like: Training | None = None,
    ) -> None:
        torch = torch_or_error()
        self.encoder, self.pretext, self.data = encoder, pretext, data
        self.seed, self._tell = seed, tell
        self.fabric = launched(encoder.device, wish.plan.get("precision", "32-true"))
        torch.manual_seed(seed)
        self.objective = objective_of(wish.objective)(encoder.width)
        encoder.device = str(self.fabric.device)
        self.probe, self._keeper = self._probe(), keeper
        self.shuffled = shuffled_like is not None
        before = keeper.state or {}
        self.records: list[dict[str, Any]] = before.get("records", [])
        self.regulated: list[dict[str, Any]] = []
        self.plan: Plan
        self.seen: set[int]
        if shuffled_like is not None:
            self.plan, self.seen = shuffled_like.plan, shuffled_like.seen
            self.records = shuffled_like.records
            self.trained = shuffled_like.encoder.module.state_dict()
            self.regulated_before = shuffled_like.regulated
        elif "plan" in before:
            self.plan, self.seen = Plan(**before["plan"]), set(before["seen"])
            self._check(self.plan)
        else:
            self.plan, self.seen = self._planned(wish)

    def _check(self, plan: Any) -> None:
        from stepwell.engines.gradient.loop import check_batch

        check_batch(plan.batch, plan.accumulate, self.fabric.world_size, len(self.data))

    def _planned(self, wish: Wish) -> tuple[Any, set[int]]:
        """The plan, and the steps to look at; speed is measured where time is what is given."""
        told = {**wish.plan, "seed": self.seed}
        batch, fitting = told.get("batch"), fitting_batch(len(self.data))
        if batch is not None and batch < FEW <= fitting:
            told["batch"] = fitting
            why = f"so few tell nothing apart, and there are {len(self.data):,} examples"
            facts = {"step": 0, "kind": "batch too small", "why": why}
            self._tell("regulate", facts | {"did": f"batches of {fitting} instead of {batch}"})
        draft = planned(len(self.data), wish.samples or len(self.data), **told)
        self._check(draft)
        # What was measured differs between ranks; the plan must not.
        seconds, looking = self.fabric.broadcast(self._speed(draft))
        samples = wish.samples
        if samples is None:
            left = self.fabric.broadcast(wish.left() if wish.left else 0.0)
            left = max(left, 0.0) / (2 if wish.shuffled else 1)
            samples = max(1, int(left / (seconds * (1 + LOOKING)))) * draft.batch
        plan = planned(len(self.data), samples, **told)
        return plan, self._looks(plan.steps, seconds, looking)

    def _speed(self, draft: Any) -> tuple[float, float]:
        """Seconds of a step, and of a look at the spectrum; measured on steps that are undone."""
        from copy import deepcopy

        torch = torch_or_error()
        before = deepcopy(self.encoder.module.state_dict()), deepcopy(self.objective.state_dict())
        state = torch.get_rng_state()
        trainer, times = self._trainer(draft), [time.perf_counter()]
        trainer.views_of(0)  # where another device trains, making views may take longer
        viewing = time.perf_counter() - times[0]
        times = [time.perf_counter()]
        for _ in trainer.steps(until=WARM):
            times.append(time.perf_counter())
        self._spectrum(0)
        looking = time.perf_counter() - times[-1]
        self.encoder.module.load_state_dict(before[0])
        self.objective.load_state_dict(before[1])
        self.objective.zero_grad(set_to_none=True)
        torch.set_rng_state(state)
        step = min(after - before for before, after in pairwise(times))
        return max(step, viewing), looking

    def _looks(self, steps: int, seconds: float, looking: float) -> set[int]:
        """Steps after which the spectrum is logged: as many as their share of the time allows."""
        wanted = sorted(schedule(steps))
        most = int(LOOKING * steps * seconds / max(looking, 1e-9))
        if len(wanted) <= most:
            return set(wanted)
        kept = np.unique(np.linspace(0, len(wanted) - 1, max(most, LOOKS)).astype(int))
        return {wanted[i] for i in kept}

    def _trainer(self, plan: Any) -> Any:
        from stepwell.engines.gradient.loop import Trainer

        size = plan.batch // plan.accumulate
        mine = size // self.fabric.world_size
        first = self.fabric.global_rank * mine

        def views(number: int) -> Sequence[Any]:
            rows, epoch = self.data.rows_of(number, size, self.seed)
            batch = self.data.take(rows[first : first + mine])
            one, other = views_of(self.pretext, batch, self.seed, epoch)
            return [one, np.roll(other, 1, axis=0) if self.shuffled else other]

        return Trainer(
            self.fabric, self.encoder.module, self.objective, views, self.encoder.prepared, plan
        )

    def run(self, before: Mapping[str, Any] | None = None) -> None:
        """Train to the end of the plan, from a trainer's state where there is one.

        The encoder's module is then what was learned.
        """
        from stepwell.engines.gradient.regulate import Regulator

        trainer, first = self._trainer(self.plan), self.fabric.global_rank == 0
        regulator = Regulator(trainer, self._regulated if first else ignore)
        if before is not None:
            trainer.restore(before["trainer"])
            regulator.restore(before["regulator"])
        elif first and not self.shuffled:
            self._look(0)
        regulator.before()
        with Stopping() as stopping:
            for step in trainer.steps():
                going = regulator.after()
                regulator.before()
                if first and step in self.seen and not self.shuffled:
                    self._look(step)
                try:
                    self._progress(step, trainer)
                except KeyboardInterrupt:  # an observer may stop it too
                    stopping.asked = True
                if first and (stopping.asked or self._keeper.due()):
                    self._keep(trainer, regulator)
                if stopping.asked:
                    raise KeyboardInterrupt
                if not going:
                    break
        self.regulated = regulator.done
        self.encoder.module.eval()

    def _regulated(self, event: str, facts: Mapping[str, Any]) -> None:
        self._tell(event, {**facts, "control": True} if self.shuffled else facts)

    def _keep(self, trainer: Any, regulator: Any) -> None:
        self._keeper.save(
            {
                "data": self.data.digest,
                "plan": self.plan.plain(),
                "seen": sorted(self.seen),
                "records": self.records,
                "trainer": trainer.state(),
                "regulator": regulator.state(),
                "trained": self.trained,
                "regulated": self.regulated_before,
            }
        )

    trained: Mapping[str, Any] | None = None
    """Weights of the encoder that this is the control of, and how that was regulated."""
    regulated_before: Sequence[Mapping[str, Any]] = ()

    def _progress(self, step: int, trainer: Any) -> None:
        facts: dict[str, Any] = {
            "done": step * self.plan.batch,
            "of": self.plan.steps * self.plan.batch,
        }
        facts |= {"loss": trainer.loss, "wait": trainer.wait}
        chance = self.objective.chance(self.plan.batch)
        facts |= {"chance": chance} if chance is not None else {}
        if self.records and not self.shuffled:
            facts["rank"] = effective_rank(np.array(self.records[-1]["covariance"]))
        if self._next:
            facts["next"] = self._next
        self._tell("control" if self.shuffled else "train", facts)

    _next = ""

    def _look(self, step: int) -> None:
        """Log the spectrum after a step; now and then ask it for the next one to come."""
        samples = step * self.plan.batch
        facts = self._spectrum(samples)
        self.records.append({"event": EVENT, **facts})
        self._tell(EVENT, facts)
        if len(self.records) >= FOLLOWED and len(self.records) % 8 == 0:
            known = group(self.records)[SAMPLES]
            self._next = words(next_step(known.times, known.shown), samples, 0.0)

    def _spectrum(self, samples: int) -> dict[str, Any]:
        """Of projections of the probe's views."""
        torch = torch_or_error()
        modules = (self.encoder.module, self.objective.projector)
        training = [module.training for module in modules]
        for module in modules:
            module.eval()
        with torch.inference_mode():
            sides = [
                modules[1](modules[0](self.encoder.prepared(side))).float().cpu().numpy()
                for side in self.probe
            ]
        for module, was in zip(modules, training, strict=True):
            module.train(was)
        return record_of(SAMPLES, samples, *sides) | {"centred": True}

    def _probe(self) -> list[Any]:
        rows = self.data.rows_of(0, min(PROBED, len(self.data)), self.seed + 1)[0]
        return views_of(self.pretext, self.data.take(rows), self.seed + 1, 0)


def launched(device: str, precision: str) -> Any:
    """Lightning Fabric on a device, or on what torchrun has started."""
    kind, _, number = device.partition(":")
    more: dict[str, Any] = {"devices": [int(number)] if number else 1}
    if ranks() > 1:
        more = {"devices": ranks_here(), "num_nodes": machines(), "strategy": "ddp"}
    fabric = fabric_or_error().Fabric(accelerator=kind, precision=precision, **more)
    fabric.launch()
    return fabric


def train_encoder(
    batches: Callable[[], Iterable[Batch]],
    wish: Wish,
    seed: int,
    folder: Path,
    keeper: Keeper,
    tell: Observer,
    encoder: Any,
    pretext: Pretext,
) -> tuple[dict[str, Any], Any]:
    """Train ``encoder`` in place on all examples.

    Returns
    -------
    dict, encoder or None
        How it was trained; and its twin, trained on shuffled pairs from the same weights.
    """
    torch_or_error()
    from stepwell.engines.gradient.pixels import Decoded

    place = folder / "decoded"
    try:
        data = Decoded(place, batches(), 0, tell)
        keeper.check("data", data.digest)
        before = keeper.state or {}
        twin = encoder.copied() if wish.shuffled else None
        training = Training(encoder, pretext, data, wish, seed, tell, keeper)
        if before.get("trained"):  # it was the control that was stopped
            encoder.module.load_state_dict(before["trained"])
            training.regulated = before["regulated"]
        else:
            training.run(before or None)
        if twin is not None:
            control = Training(twin, pretext, data, wish, seed, tell, keeper, training)
            control.run(before if before.get("trained") else None)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    plan = training.plan
    facts = {"objective": wish.objective, "samples": plan.steps * plan.batch, **plan.plain()}
    return facts | {"regulated": training.regulated[:TOLD]}, twin
