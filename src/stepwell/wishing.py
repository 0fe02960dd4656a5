"""What a training was told: objective, samples or time, fields of its plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from stepwell.engines.gradient.plan import check_told
from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import OWN, fitting, registered
from stepwell.kit.stopwatch import Stopwatch
from stepwell.kit.torch import check_device, torch_or_error
from stepwell.pretexts import PRETEXTS, TwoViews
from stepwell.pretexts.missing import Missing
from stepwell.pretexts.tokens import MissingTokens, Next, OrderTokens
from stepwell.pretexts.transform import Transform

USUAL = {
    "hidden": Missing.name,
    "classes": Transform.name,
    "masked": MissingTokens.name,
    "next": Next.name,
    "answers": OrderTokens.name,
}
"""Pretexts of objectives that take these."""
AFTER = (0.15, 0.5)
"""Share of a budget that is left for what follows training, at least and at most: embedding all,
scores and the page take about as long as an epoch, which goes forth and back where they go forth
three times."""
OBJECTIVE = "barlow_twins"
"""With pretexts that name none."""
BUDGET_S = 600.0
"""What is trained for if nothing is said."""


@dataclass(frozen=True)
class Wish:
    """What a training was told; see :func:`~stepwell.learn`.

    Attributes
    ----------
    objective : str, optional
        None: the pretext's usual one.
    samples : int, optional
        Views' examples in all.
    left : callable, optional
        Of the seconds that an epoch takes: seconds that training may still take; asked when it
        begins.
    shuffled : bool
        Train a control on shuffled pairs too, for as many samples.
    labelled : (Batch, list of str), optional
        A few examples that progress is judged by, and nothing else.
    trials : int
        Short trainings that the rate is searched with first.
    plan : mapping
        Fields of :class:`~stepwell.engines.gradient.plan.Plan`.
    """

    objective: str | None = None
    samples: int | None = None
    left: Callable[[float], float] | None = None
    shuffled: bool = True
    labelled: Any = None
    trials: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)


def wished(told: Mapping[str, Any], budget: float | None, watch: Stopwatch) -> Wish:
    """A wish from settings, checked before anything is read.

    Raises
    ------
    UsageError
        For an unknown objective or setting, or sizes that make no sense.
    """
    plan = {name: value for name, value in told.items() if value is not None}
    device = plan.pop("device", None)
    if device is not None:
        check_device(str(device))
    objective = plan.pop("objective", None)
    if objective is not None:
        objective_of(str(objective))
    samples, shuffled = plan.pop("samples", None), bool(plan.pop("shuffled", True))
    trials = int(plan.pop("trials", 0))
    if trials < 0:
        raise UsageError(f"Expected 0 trials or more, found {trials}.")
    check_told(plan)
    if samples is not None and samples < 1:
        raise UsageError(f"Expected at least one sample to train on, found {samples}.")
    if samples is not None and budget is not None:
        raise UsageError(
            "Expected samples or a budget to train for, found both: leave one of them out."
        )
    end = BUDGET_S if budget is None and samples is None else budget
    left = None if end is None else partial(_left, end, watch)
    return Wish(objective, samples, left, shuffled, None, trials, plan)


def _left(end: float, watch: Stopwatch, epoch: float) -> float:
    least, most = (share * end for share in AFTER)
    return end - min(max(least, epoch), most) - watch.wall()


def check_fits(objective: str | None, pretext: Any) -> None:
    """Raise for an objective that does not find in a pretext what it takes.

    Raises
    ------
    UsageError
        With those that do.
    """
    gives: Any = getattr(pretext, "gives", {"views"})
    objective = str(objective or getattr(pretext, "objective", OBJECTIVE))
    if objective_of(objective).takes in gives:
        return
    from stepwell.objectives import OBJECTIVES

    fitting = ", ".join(name for name, kind in OBJECTIVES.items() if kind.takes in gives)
    takes = objective_of(objective).takes
    kinds: frozenset[str] = getattr(pretext, "kinds", frozenset())
    others = [
        made.name
        for made in PRETEXTS.values()
        if takes in getattr(made, "gives", ()) and kinds & made.kinds
    ]
    if not others:
        raise UsageError(
            f"Expected an objective for {' and '.join(sorted(kinds))} ({fitting}), found "
            f"{objective}, which is for other data."
        )
    raise UsageError(
        f"Expected an objective for the pretext {pretext.name} ({fitting}), found {objective}, "
        f"which takes {takes}: take one of these, or a pretext that gives {takes} "
        f"({', '.join(others)})."
    )


def usual_pretext(objective: str) -> str:
    """What an objective is trained on where no pretext was asked for."""
    return USUAL.get(objective_of(objective).takes, TwoViews.name)


def objective_of(name: str) -> Any:
    """The class of an objective.

    Raises
    ------
    UsageError
        For an unknown name, with the nearest one.
    """
    torch_or_error()
    from stepwell.objectives import OBJECTIVES

    if OWN.fullmatch(name):
        return fitting("objectives", name)
    objectives = registered("objectives", OBJECTIVES)
    if name not in objectives:
        known = ", ".join(sorted(objectives))
        raise UsageError(
            f"Expected an objective ({known}), or package.module:Class, found {name!r}."
            f"{nearest(name, objectives)}"
        )
    return objectives[name]
