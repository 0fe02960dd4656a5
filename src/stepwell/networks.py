"""The gradient engine as learning uses it: a network encoder trained on a source's pairs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from copy import copy
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

from stepwell.engines.gradient.launch import launched
from stepwell.interfaces import Batch, Observer, Pretext
from stepwell.kit.torch import torch_or_error
from stepwell.resuming import NOT_KEPT, Keeper
from stepwell.searching import searched
from stepwell.training import Training
from stepwell.wishing import Wish

TOLD = 20
"""Alarms that a run's configuration lists."""


def train_encoder(
    batches: Callable[[], Iterable[Batch]],
    wish: Wish,
    seed: int,
    folder: Path,
    keeper: Keeper,
    tell: Observer,
    encoder: Any,
    pretext: Any,
    pairs: Pretext,
) -> tuple[dict[str, Any], Any]:
    """Train ``encoder`` in place on what ``pretext`` makes of all examples.

    ``pairs``: the pretext of the closed form that follows.

    Returns
    -------
    dict, encoder or None
        How it was trained; and its twin, trained on shuffled pairs from the same weights.
    """
    torch_or_error()
    begun = (keeper.state or {}).get("plan", {})
    fabric = launched(encoder.device, begun.get("precision") or wish.plan.get("precision"))
    place = _place_of(folder, fabric)
    try:
        laid = getattr(encoder, "laid_out", iter)  # texts as rows of tokens
        data = _decoded(place, lambda: laid(batches()), fabric, tell)
        keeper.check("data", data.digest)
        before = keeper.state or {}

        def made(short: Wish, told: Observer) -> Training:
            common = (pairs, data, fabric, short, seed, told, NOT_KEPT)
            return Training(encoder.copied(), copy(pretext), *common)

        # One that was stopped has its plan.
        wish, tried = searched(wish, made, tell) if wish.trials and not before else (wish, [])
        twin = encoder.copied() if wish.shuffled else None
        common = (pairs, data, fabric, wish, seed, tell, keeper)
        training = Training(encoder, pretext, *common)
        if before.get("trained"):  # it was the control that was stopped
            encoder.module.load_state_dict(before["trained"])
            training.regulated = before["regulated"]
        else:
            training.run(before or None)
        if twin is not None:
            other = copy(pretext)  # its pseudo-labels are of another network
            control = Training(twin, other, *common, training)
            control.run(before if before.get("trained") else None)
    finally:
        if fabric.local_rank == 0:
            shutil.rmtree(place, ignore_errors=True)
    plan = training.plan
    return {
        "backbone": encoder.backbone,
        "pretext": pretext.name,
        "objective": training.objective.name,
        "samples": plan.steps * plan.batch,
        **plan.plain(),
        "regulated": training.regulated[:TOLD],
        **({"searched": tried} if tried else {}),
    }, twin


def _place_of(folder: Path, fabric: Any) -> Path:
    """Where examples lie decoded: once a machine, under a name that all of its processes know."""
    if fabric.world_size == 1:
        return folder / "decoded"
    return Path(gettempdir()) / f"stepwell-{fabric.broadcast(uuid4().hex)}"


def _decoded(
    place: Path, batches: Callable[[], Iterable[Batch]], fabric: Any, tell: Observer
) -> Any:
    """All examples; the first process of a machine decodes them, the others look."""
    from stepwell.engines.gradient.pixels import Decoded

    if fabric.local_rank:
        return Decoded.shared(place)
    data = Decoded(place, batches(), tell)
    if fabric.world_size > 1:
        data.share(place)
    return data
