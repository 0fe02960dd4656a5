"""The gradient engine as learning uses it: a network encoder trained on a source's pairs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.interfaces import Batch, Observer, Pretext, Source, UsageError
from stepwell.kit.names import nearest
from stepwell.kit.torch import fabric_or_error, torch_or_error
from stepwell.staircase.forecast import next_step, words
from stepwell.staircase.records import EVENT, SAMPLES, group, record_of, schedule

PROBED = 128
"""Examples whose two views the spectrum is logged on."""
LOOKING = 0.02
"""Share of the time that logging may take."""
WARM = 3
"""Steps that the speed is measured on, and which are then undone."""
BUDGET_S = 600.0
"""What is trained for if nothing is said."""
FOLLOWED = 32
"""Records before a next step is forecast, and then every eighth."""


@dataclass(frozen=True)
class Wish:
    """What a training can be told; see :func:`~stepwell.learn`."""

    objective: str = "barlow_twins"
    samples: int | None = None
    seconds: float | None = None
    device: str | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)


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
    order = np.argsort(pairs.unit, kind="stable")
    first = np.searchsorted(pairs.unit[order], np.unique(pairs.unit))
    columns = next(iter(pairs.x.data.values()))
    return [columns[order[first]], columns[order[first + 1]]]


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
    """

    def __init__(
        self, encoder: Any, pretext: Pretext, data: Any, wish: Wish, seed: int, tell: Observer
    ) -> None:
        torch = torch_or_error()
        self.encoder, self.pretext, self.data = encoder, pretext, data
        self.seed, self._tell = seed, tell
        self.fabric = launched(encoder.device, wish.plan.get("precision", "32-true"))
        torch.manual_seed(seed)
        self.objective = objective_of(wish.objective)(encoder.width)
        encoder.device = str(self.fabric.device)
        self.records: list[dict[str, Any]] = []
        self.probe = self._probe()
        self.plan, self.seen = self._planned(wish)

    def _planned(self, wish: Wish) -> tuple[Any, set[int]]:
        """The plan, and the steps to look at; speed is measured where time is what is given."""
        from stepwell.engines.gradient.loop import check_batch
        from stepwell.engines.gradient.plan import planned

        told = {**wish.plan, "seed": self.seed}
        draft = planned(len(self.data), wish.samples or len(self.data), **told)
        check_batch(draft.batch, self.fabric.world_size)
        seconds, looking = self._speed(draft)
        samples = wish.samples
        if samples is None:
            left = max((wish.seconds or BUDGET_S) - 2 * WARM * seconds, 0)
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
        for _ in trainer.steps(until=WARM):
            times.append(time.perf_counter())
        self._look(0)
        looking = time.perf_counter() - times[-1]
        self.records.clear()
        self.encoder.module.load_state_dict(before[0])
        self.objective.load_state_dict(before[1])
        self.objective.zero_grad(set_to_none=True)
        torch.set_rng_state(state)
        return min(b - a for a, b in zip(times, times[1:], strict=False)), looking

    def _looks(self, steps: int, seconds: float, looking: float) -> set[int]:
        """Steps after which the spectrum is logged: as many as their share of the time allows."""
        wanted = sorted(schedule(steps))
        most = int(LOOKING * steps * seconds / max(looking, 1e-9))
        if len(wanted) <= most:
            return set(wanted)
        kept = np.unique(np.linspace(0, len(wanted) - 1, max(most, 3)).astype(int))
        return {wanted[i] for i in kept}

    def _trainer(self, plan: Any) -> Any:
        from stepwell.engines.gradient.loop import Trainer

        size = plan.batch // plan.accumulate
        mine = size // self.fabric.world_size
        first = self.fabric.global_rank * mine

        def views(number: int) -> Sequence[Any]:
            rows, epoch = self.data.rows_of(number, size, self.seed)
            batch = self.data.take(rows[first : first + mine])
            return views_of(self.pretext, batch, self.seed, epoch)

        return Trainer(
            self.fabric, self.encoder.module, self.objective, views, self.encoder.prepared, plan
        )

    def run(self) -> None:
        """Train to the end of the plan; the encoder's module is then what was learned."""
        trainer = self._trainer(self.plan)
        self._look(0)
        for step in trainer.steps():
            if step in self.seen:
                self._look(step)
            self._progress(step, trainer)
        self.encoder.module.eval()

    def _progress(self, step: int, trainer: Any) -> None:
        facts = {"done": step * self.plan.batch, "of": self.plan.steps * self.plan.batch}
        facts |= {"loss": trainer.loss, "wait": trainer.wait}
        chance = self.objective.chance(self.plan.batch)
        facts |= {"chance": chance} if chance is not None else {}
        if self.records:
            facts["rank"] = rank_of(self.records[-1]["covariance"])
        if self._next:
            facts["next"] = self._next
        self._tell("train", facts)

    _next = ""

    def _look(self, step: int) -> None:
        """Log the spectrum of projections of the probe's views."""
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
        samples = step * self.plan.batch if step else 0
        facts = record_of(SAMPLES, samples, *sides) | {"centred": True}
        self.records.append({"event": EVENT, **facts})
        self._tell(EVENT, facts)
        if len(self.records) >= FOLLOWED and len(self.records) % 8 == 0:
            known = group(self.records)[SAMPLES]
            self._next = words(next_step(known.times, known.shown), samples, 0.0)

    def _probe(self) -> list[Any]:
        rows = self.data.rows_of(0, min(PROBED, len(self.data)), self.seed + 1)[0]
        return views_of(self.pretext, self.data.take(rows), self.seed + 1, 0)


def rank_of(eigenvalues: Sequence[float]) -> float:
    """Effective rank: e to the entropy of the eigenvalues' shares.

    O. Roy & M. Vetterli, EUSIPCO 2007.
    """
    values = np.maximum(np.asarray(eigenvalues, float), 0)
    share = values[values > 0] / max(values.sum(), 1e-300)
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else 0.0


def launched(device: str, precision: str) -> Any:
    """Lightning Fabric on a device, or on what torchrun has started."""
    import os

    lightning = fabric_or_error()
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    kind = device.split(":")[0]
    more: dict[str, Any] = {"devices": 1}
    if "LOCAL_RANK" in os.environ:
        nodes = int(os.environ.get("GROUP_WORLD_SIZE", 1))
        more = {"devices": ranks, "num_nodes": nodes, "strategy": "ddp"}
    fabric = lightning.Fabric(accelerator=kind, precision=precision, **more)
    fabric.launch()
    return fabric


def train_encoder(
    source: Source,
    ids: set[str] | None,
    encoder: Any,
    pretext: Pretext,
    wish: Wish,
    seed: int,
    folder: Path,
    tell: Observer,
    batches: Callable[[], Any],
) -> dict[str, Any]:
    """Train ``encoder`` on the examples named; returns its plan as settings."""
    from stepwell.engines.gradient.pixels import Decoded

    place = folder / "decoded"
    try:
        data = Decoded(place, batches(), len(ids or ()), tell)
        training = Training(encoder, pretext, data, wish, seed, tell)
        training.run()
        return {"objective": wish.objective, **training.plan.plain()}
    finally:
        shutil.rmtree(place, ignore_errors=True)
