"""How a network is trained: sizes, rates and their course, all set beforehand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.course import fallen
from stepwell.kit.names import nearest

LARGEST = 256
"""Batch where there are enough examples."""
FEW = 16
"""A batch below this is raised where there are more examples."""
FOR = 128
"""Rates are for a batch of so many. SGD's grows with it, Adam's with its root."""
RATES = {"SGD": 0.03, "AdamW": 2e-3}
"""Adam's: SimCLR, ResNet-18, 100 s on 10,000 training images of CIFAR-10 came to 30.8 kNN on others
with 1e-3 and 32.6 with 3e-3 at batches of 256, and to 35.7 with 2e-3 at 128."""
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
AN_EPOCH = 40
"""Updates an epoch should hold at least."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a training goes; frozen in the run's configuration.

    Attributes
    ----------
    steps : int
        Updates of the weights.
    batch : int
        Examples an update sees, over all ranks and accumulated parts.
    optimizer : str
        A class of ``torch.optim``.
    rate, decay : float
        Learning rate at its highest, and weight decay (of matrices only).
    warmup : float
        Share of the steps over which the rate rises; a cosine to 0 follows.
    clip : float
        Largest norm of the gradient; 0 never clips.
    accumulate : int
        Parts a batch is computed in.
    momentum : float
        Of the teacher at the first step; it rises to 1 by a cosine.
    precision : str
        One of :data:`PRECISIONS`, as Lightning Fabric names them.
    compiled : bool
        Through ``torch.compile``.
    sharded : bool
        Whether ranks share weights, gradients and the optimizer's state (FSDP).
    seed : int
    """

    steps: int
    batch: int
    optimizer: str = "AdamW"
    rate: float = RATES["AdamW"]
    decay: float = 0.05
    warmup: float = 0.1
    clip: float = 3.0
    accumulate: int = 1
    momentum: float = 0.99
    precision: str = PRECISIONS[0]
    compiled: bool = False
    sharded: bool = False
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.rate * (step + 1) / rising
        return self.rate * fallen((step - rising) / max(self.steps - rising, 1))

    def momentum_at(self, step: int) -> float:
        """Share of itself that the teacher keeps at a step."""
        return 1 - (1 - self.momentum) * fallen(step / max(self.steps, 1))

    def plain(self) -> dict[str, Any]:
        """As settings."""
        return asdict(self)


def check_told(told: Mapping[str, Any]) -> None:
    """Raise for fields of a plan that nobody may set, or values that make no sense.

    Raises
    ------
    UsageError
        With the nearest name for an unknown one.
    """
    known = {each.name for each in fields(Plan)} - {"steps", "seed"}
    for name, value in told.items():
        if name not in known:
            raise UsageError(
                f"Expected a setting of training ({', '.join(sorted(known))}), found {name!r}."
                f"{nearest(name, known)}"
            )
        low = 1 if name in ("batch", "accumulate") else 0
        if isinstance(value, (int, float)) and value < low:
            raise UsageError(f"Expected {name} of {low} or more, found {value}.")
    if (told.get("warmup") or 0) > 1:
        raise UsageError(
            f"Expected a warm-up of 0 to 1, a share of all steps, found {told['warmup']}."
        )
    if told.get("rate") == 0:
        raise UsageError("Expected a learning rate above 0, found 0: nothing would be learned.")
    other = "compiled" if told.get("compiled") else told.get("precision")
    if told.get("sharded") and other in ("compiled", "16-mixed"):
        raise UsageError(
            f"Expected shared weights (--shard) with 32-true or bf16-mixed and not compiled, found "
            f"them {other}: leave one of the two out."
        )
    if told.get("precision", PRECISIONS[0]) not in PRECISIONS:
        raise UsageError(
            f"Expected a precision ({', '.join(PRECISIONS)}), found {told['precision']!r}."
        )


def planned(examples: int, samples: int, **told: Any) -> Plan:
    """A plan for so many examples and samples in all; what is told goes before defaults."""
    wanted: Mapping[str, Any] = {name: value for name, value in told.items() if value is not None}
    batch = int(wanted.get("batch") or fitting_batch(examples))
    optimizer = str(wanted.get("optimizer", "AdamW"))
    rate = usual_rate(optimizer, batch)
    steps = max(1, round(samples / batch))
    return Plan(**{"rate": rate, **wanted, "steps": steps, "batch": batch})


def usual_rate(optimizer: str, batch: int) -> float:
    """The learning rate that suits an optimizer of torch.optim and a batch."""
    grown = batch / FOR if optimizer == "SGD" else (batch / FOR) ** 0.5
    return RATES.get(optimizer, RATES["AdamW"]) * grown


def fitting_batch(examples: int) -> int:
    """The largest power of two, 32 to :data:`LARGEST`, that leaves :data:`AN_EPOCH` updates an
    epoch; less where there are not two batches of 32."""
    size = LARGEST
    while size > 32 and AN_EPOCH * size > examples:
        size //= 2
    while size > 4 and 2 * size > examples:
        size //= 2
    return size


def warn_of_parts(plan: Plan) -> None:
    """Say what accumulation is not."""
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
