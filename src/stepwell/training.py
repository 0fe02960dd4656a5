"""One training of one network encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepwell.engines.gradient.plan import Plan
from stepwell.engines.gradient.watch import effective_rank
from stepwell.interfaces import (
    Observer,
    Pretext,
    Seen,
    StepwellError,
    UsageError,
    ignore,
)
from stepwell.kit.stopping import Stopping
from stepwell.kit.torch import judging, torch_or_error
from stepwell.online import Online
from stepwell.pacing import check_plan, plan_for
from stepwell.resuming import Keeper
from stepwell.showing import Showing, shown_of
from stepwell.staircase.forecast import next_step, words
from stepwell.staircase.records import EVENT, SAMPLES, group, record_of
from stepwell.wishing import OBJECTIVE, Wish, objective_of

FEWEST = 4
"""Examples, or rows of tokens, that can be compared."""
PROBED = 64
"""Examples whose two views the spectrum is logged on."""
FOLLOWED = 32
"""Records before a next step is forecast, and then every eighth."""


class Training:
    """One training of one encoder.

    Parameters
    ----------
    encoder : NetworkEncoder
        Fitted; its module is trained in place.
    pretext : Pretext
        What the encoder is trained on.
    pairs : Pretext
        Whose pairs the spectrum is told of; those of the closed form that follows.
    data : Decoded
    fabric : lightning_fabric.Fabric
        Launched.
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
        pretext: Any,
        pairs: Pretext,
        data: Any,
        fabric: Any,
        wish: Wish,
        seed: int,
        tell: Observer,
        keeper: Keeper,
        shuffled_like: Training | None = None,
    ) -> None:
        torch = torch_or_error()
        if len(data) < FEWEST:
            raise StepwellError(
                f"Expected {FEWEST} examples or rows of tokens to train on, found {len(data)}: add "
                f"more data."
            )
        self.encoder, self.data, self.pairs = encoder, data, pairs
        self.seed, self.tell = seed, tell
        self.fabric = fabric
        # Its own device: launching has told each rank which that is.
        encoder.device = str(self.fabric.device)
        encoder.module.to(self.fabric.device)
        torch.manual_seed(seed)
        self.showing = Showing(encoder, pretext, data, seed, self.fabric)
        kind = objective_of(str(wish.objective or getattr(pretext, "objective", OBJECTIVE)))
        self.objective = kind.made(encoder.width, self.showing.task(kind))
        self.objective.to(self.fabric.device)
        self.probe, self._keeper = self._probe(), keeper
        self.shuffled = shuffled_like is not None
        told = self.fabric.global_rank == 0 and not self.shuffled and wish.labelled
        self.online = Online(encoder, *wish.labelled) if told else None
        before = keeper.state or {}
        self.records: list[dict[str, Any]] = before.get("records", [])
        self.regulated: list[dict[str, Any]] = []
        self.changed: list[dict[str, Any]] = []  # of what was asked for, before the first step
        # Of the encoder that this is the control of: its weights, and how it was regulated.
        self._trained: Mapping[str, Any] | None = None
        self._regulated_before: Sequence[Mapping[str, Any]] = ()
        self._next = ""
        self.plan: Plan
        self.seen: set[int]
        if shuffled_like is not None:
            self.plan, self.seen = shuffled_like.plan, shuffled_like.seen
            self.records = shuffled_like.records
            self._trained = shuffled_like.encoder.module.state_dict()
            self._regulated_before = shuffled_like.regulated
        elif "plan" in before:
            self.plan, self.seen = _plan_of(before)
            check_plan(self, self.plan)
        else:
            self.plan, self.seen = plan_for(self, wish)

    def trainer(self, plan: Any) -> Any:
        kind = trainer_for(plan, self.fabric.world_size)
        size = plan.batch // plan.accumulate
        mine = size // self.fabric.world_size
        first = self.fabric.global_rank * mine

        def shows(number: int) -> Seen:
            rows, epoch = self.data.rows_of(number, size, self.seed)
            own = slice(first, first + mine)
            if self.shuffled:
                return self.showing.shuffled(rows, own, epoch, self.objective)
            return self.showing.of_rows(rows[own], epoch, self.objective.views)

        return kind(
            self.fabric, self.encoder.module, self.objective, shows, self.encoder.prepared, plan
        )

    def _epoch_of(self, step: int) -> int:
        """That a step begins in."""
        size = self.plan.batch // self.plan.accumulate
        return step * self.plan.accumulate // max(len(self.data) // size, 1)

    def run(self, before: Mapping[str, Any] | None = None) -> None:
        """Train to the end of the plan, from a trainer's state where there is one.

        The encoder's module is then what was learned.
        """
        from stepwell.engines.gradient.regulate import Regulator

        trainer, first = self.trainer(self.plan), self.fabric.global_rank == 0
        regulator = Regulator(trainer, self._regulated if first else ignore)
        if before is not None:
            trainer.restore(before["trainer"])
            regulator.restore(before["regulator"])
            self.showing.restore(before["showing"])
        elif first and not self.shuffled:
            self._look(0)
        regulator.before()
        with Stopping() as stopping:
            for end in self.showing.ends(trainer.step, self.plan.steps, self._epoch_of):
                trainer.publish()
                self.showing.renew(self._epoch_of(trainer.step))
                if not self._until(end, trainer, regulator, stopping):
                    break
        trainer.publish()
        self.regulated = [*self.changed, *regulator.done]
        self.encoder.module.eval()

    def _until(self, end: int, trainer: Any, regulator: Any, stopping: Any) -> bool:
        """Train up to a step; False where training was given up."""
        first = self.fabric.global_rank == 0
        for step in trainer.steps(until=end):
            going = regulator.after()
            regulator.before()
            if step in self.seen and not self.shuffled:
                trainer.publish()
                if first:
                    self._look(step)
            try:
                self._progress(step, trainer)
            except KeyboardInterrupt:  # an observer may stop it too
                stopping.asked = True
            asked, due = trainer.anywhere(stopping.asked, first and self._keeper.due())
            if asked or due:
                state = trainer.state()
                if first:
                    self._keep(state, regulator)
            if asked:
                raise KeyboardInterrupt
            if not going:
                return False
        return True

    def _regulated(self, event: str, facts: Mapping[str, Any]) -> None:
        self.tell(event, {**facts, "control": True} if self.shuffled else facts)

    def _keep(self, state: Mapping[str, Any], regulator: Any) -> None:
        self._keeper.save(
            {
                "data": self.data.digest,
                "plan": self.plan.plain(),
                "seen": sorted(self.seen),
                "records": self.records,
                "trainer": state,
                "regulator": regulator.state(),
                "showing": self.showing.state(),
                "trained": self._trained,
                "regulated": self._regulated_before,
            }
        )

    def _progress(self, step: int, trainer: Any) -> None:
        facts: dict[str, Any] = {
            "done": step * self.plan.batch,
            "of": self.plan.steps * self.plan.batch,
        }
        facts |= {"loss": trainer.loss, "wait": trainer.wait}
        chance = self.objective.chance(self.plan.batch // self.plan.accumulate)
        facts |= {"chance": chance} if chance is not None else {}
        if self.records and not self.shuffled:
            facts["rank"] = effective_rank(np.array(self.records[-1]["covariance"]))
        if self._next:
            facts["next"] = self._next
        if self.online is not None:
            facts |= self.online.told(step == self.plan.steps)
        self.tell("control" if self.shuffled else "train", facts)

    def _look(self, step: int) -> None:
        """Log the spectrum after a step; now and then ask it for the next one to come."""
        samples = step * self.plan.batch
        facts = self.spectrum(samples)
        self.records.append({"event": EVENT, **facts})
        self.tell(EVENT, facts)
        if len(self.records) >= FOLLOWED and len(self.records) % 8 == 0:
            known = group(self.records)[SAMPLES]
            self._next = words(next_step(known.times, known.shown), samples, 0.0)

    def spectrum(self, samples: int) -> dict[str, Any]:
        """Of projections of the probe's views."""
        modules = (self.encoder.module, self.objective.projector)
        with judging(*modules):
            sides = [
                modules[1](modules[0](self.encoder.prepared(side))).float().cpu().numpy()
                for side in self.probe
            ]
        return record_of(SAMPLES, samples, *sides) | {"centred": True}

    def _probe(self) -> list[Any]:
        rows = self.data.rows_of(0, min(PROBED, len(self.data)), self.seed + 1)[0]
        return list(shown_of(self.pairs, self.data.take(rows), self.seed + 1, 0).views[:2])


def _plan_of(before: Mapping[str, Any]) -> tuple[Plan, set[int]]:
    """The plan of a training that was stopped, and the steps that are looked at."""
    try:
        return Plan(**before["plan"]), set(before["seen"])
    except (KeyError, TypeError) as error:
        raise StepwellError(
            f"Expected the plan of the training that was stopped, found {error}: bring back its "
            f"checkpoint, or learn anew with --overwrite."
        ) from None


def trainer_for(plan: Any, ranks: int) -> Any:
    """The class that trains by a plan.

    Raises
    ------
    UsageError
        If one rank is to share its weights.
    """
    if not plan.sharded:
        from stepwell.engines.gradient.loop import Trainer

        return Trainer
    if ranks == 1:
        raise UsageError(
            "Expected several processes that share the weights, found one: start with torchrun "
            "(docs/scaling.md), or leave --shard out."
        )
    from stepwell.engines.gradient.shards import ShardedTrainer

    return ShardedTrainer
