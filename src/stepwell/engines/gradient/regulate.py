"""Acts on what :mod:`~stepwell.engines.gradient.watch` sees, and says so."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from stepwell.engines.gradient.plan import usual_rate
from stepwell.engines.gradient.watch import Alarm, Look, Watch
from stepwell.interfaces import Observer

EVENT = "regulate"
OFTEN, EVERY = 20, 20
"""So many first steps are all looked at, then one in so many."""
KEPT_EVERY = 50
"""Steps between two copies of a good state."""
MOST = 12
"""After so many alarms training is given up."""


class Regulator:
    """Looks at a trainer's steps; slows it down, or brings back its last good state.

    Parameters
    ----------
    trainer : Trainer
    tell : callable
        Told ``("regulate", {"step", "kind", "why", "did"})``.
    """

    def __init__(self, trainer: Any, tell: Observer) -> None:
        self._trainer, self._tell, self._watch = trainer, tell, Watch()
        self.done: list[dict[str, Any]] = []
        self._alarms, self._kept_at = 0, -KEPT_EVERY
        self._good: dict[str, Any] = {}
        self._keep()

    def before(self) -> None:
        """Ask the trainer to measure its next step, where that is looked at."""
        step = self._trainer.step
        self._trainer.measures = step < OFTEN or step % EVERY == 0

    def after(self) -> bool:
        """Judge the step that was done, and act; False if nothing helps and training ends.

        The first of several ranks judges for all, so that they do the same.
        """
        look, fabric = self._trainer.look(), self._trainer.fabric
        if look is None:
            return True
        alarm = fabric.broadcast(self._watch.judge(look))
        if alarm is None:
            if look.step - self._kept_at >= KEPT_EVERY and fabric.broadcast(self._watch.calm):
                self._keep()
            return True
        self._watch.forget()
        if alarm.kind == "too good" and self._warned:
            return True
        self._alarms += alarm.kind != "too good"
        if self._alarms > MOST:
            self._restore()
            self._say(look, alarm, f"nothing helped {MOST} times: ended at the last good state")
            return False
        self._say(look, alarm, self._act(alarm))
        return True

    def _say(self, look: Look, alarm: Alarm, did: str) -> None:
        facts = {"step": look.step, "kind": alarm.kind, "why": alarm.why, "did": did}
        self.done.append(facts)
        self._tell(EVENT, facts)

    @property
    def _warned(self) -> bool:
        return any(row["kind"] == "too good" for row in self.done)

    def state(self) -> dict[str, Any]:
        """What it remembers, and the last good state."""
        return {
            "watch": self._watch.state(),
            "alarms": self._alarms,
            "kept_at": self._kept_at,
            "good": self._good,
            "done": self.done,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._watch.restore(state["watch"])
        self._alarms, self._kept_at = state["alarms"], state["kept_at"]
        self._good, self.done = state["good"], state["done"]

    def _act(self, alarm: Alarm) -> str:
        actions: dict[str, Callable[[], str]] = {
            "not finite": lambda: self._slower(2),
            "too fast": lambda: self._slower(10),
            "frozen": self._thaw,
            "collapse": self._spread,
            "collapse along one direction": self._spread,
            "too good": lambda: "nothing: look whether a shortcut tells pairs apart",
        }
        return actions[alarm.kind]()

    def _slower(self, factor: float) -> str:
        self._restore()
        self._trainer.pace /= factor
        return f"last good state restored; rate divided by {factor:g}"

    def _spread(self) -> str:
        """More weight on what keeps projections apart, where the objective has such a term."""
        objective = self._trainer.network.objective
        usual = getattr(objective, "usual_variance", 0.0)
        if getattr(objective, "variance", usual) < usual:
            self._restore()
            objective.variance = usual
            return f"last good state restored; variance term raised to {usual:g}"
        return self._slower(3)

    def _thaw(self) -> str:
        trainer, plan = self._trainer, self._trainer.plan
        usual = usual_rate(plan.optimizer, plan.batch)
        trainer.pace = max(trainer.pace, usual / max(plan.rate, 1e-30))
        return f"rate raised to {plan.rate * trainer.pace:.2g}"

    def _keep(self) -> None:
        self._good = deepcopy(self._trainer.weights())
        self._kept_at = self._trainer.step

    def _restore(self) -> None:
        # A copy: weights that are loaded share memory with the state on some paths.
        self._trainer.set_weights(deepcopy(self._good))
