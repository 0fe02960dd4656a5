"""Planted faults are seen and mended; healthy trainings are left alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an optional part")
pytest.importorskip("lightning_fabric")

from test_engines_gradient import digits, trainer  # noqa: E402

from stepwell.engines.gradient.pixels import Decoded  # noqa: E402
from stepwell.engines.gradient.regulate import MOST, Regulator  # noqa: E402
from stepwell.engines.gradient.watch import (  # noqa: E402
    PATIENCE,
    Look,
    Watch,
    effective_rank,
    spread_of,
)
from stepwell.interfaces import Seen  # noqa: E402
from stepwell.objectives import OBJECTIVES  # noqa: E402

FINE = {"loss": 1.0, "change": 0.01, "spread": 0.5, "variance": 1.0, "rank": 9.0, "chance": 4.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Decoded(tmp_path_factory.mktemp("decoded"), iter([digits()]))


def regulated(made, steps=None):
    """Train with a regulator; what it did."""
    told = []
    regulator = Regulator(made, lambda event, facts: told.append({"event": event, **facts}))
    regulator.before()
    for _ in made.steps(until=steps):
        if not regulator.after():
            break
        regulator.before()
    return told


# judgement


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("too fast", {"change": 2.0}),
        ("frozen", {"change": 0.0}),
        ("collapse", {"spread": 0.001}),
        ("collapse", {"variance": 0.02}),
        ("collapse along one direction", {"rank": 1.1}),
        ("too good", {"loss": 0.001}),
    ],
)
def test_a_fault_is_an_alarm_once_looks_agree(kind, fault):
    watch = Watch()
    for step in range(20):
        assert watch.judge(Look(step, **FINE)) is None
    alarms = [watch.judge(Look(20 + i, **{**FINE, **fault})) for i in range(PATIENCE)]
    assert alarms[:-1] == [None] * (PATIENCE - 1)
    assert alarms[-1].kind == kind
    assert watch.judge(Look(30, **FINE)) is None


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_an_alarm_at_once(loss):
    assert Watch().judge(Look(0, loss)).kind == "not finite"


def test_one_odd_look_is_no_alarm():
    watch = Watch()
    rng = np.random.default_rng(0)
    for step in range(200):
        odd = rng.random() < 0.2 and step % 3 == 0
        assert watch.judge(Look(step, **{**FINE, "change": 0.5 if odd else 0.01})) is None


def test_what_is_not_measured_is_no_sign():
    watch = Watch()
    assert all(watch.judge(Look(step, 1.0)) is None for step in range(50))


def test_spread_and_rank_of_projections():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((500, 6))
    spread, variance, rank = spread_of(z)
    assert spread == pytest.approx(1, abs=0.01)
    assert variance == pytest.approx(1, abs=0.1)
    assert rank == pytest.approx(6, abs=0.1)
    assert spread_of(z * 0.01 + 5)[0] < 1e-4
    assert spread_of(np.outer(z[:, 0], np.ones(600)))[2] == pytest.approx(1, abs=1e-6)
    assert effective_rank(np.zeros(3)) == 0


# acting


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_a_rate_that_is_too_high_is_lowered(data, optimizer):
    made = trainer(data, optimizer=optimizer, rate=5.0, steps=40)
    told = regulated(made)
    assert told[0]["kind"] in ("too fast", "not finite")
    assert "rate divided by" in told[0]["did"]
    assert made.pace <= 0.1
    assert np.isfinite(made.loss)


def test_a_batch_that_is_no_number_is_passed_over(data):
    made = trainer(data, steps=12)
    shows = made.shows
    made.shows = lambda n: Seen([v * np.nan for v in shows(n).views]) if n == 6 else shows(n)
    told = regulated(made)
    assert [row["kind"] for row in told] == ["not finite"]
    assert np.isfinite(made.loss)
    assert all(bool(p.isfinite().all()) for p in made.network.parameters())


def test_a_collapse_raises_the_variance_term(data):
    made = trainer(data, "vicreg", steps=300, rate=0.01)
    made.network.objective.variance = 0.0
    made.network.objective.covariance = 0.0
    told = regulated(made)
    assert any("variance term raised to 25" in row["did"] for row in told)
    assert made.network.objective.variance == 25
    z = made.network.objective.projector(made.network.backbone(torch.rand(64, 1, 8, 8)))
    assert spread_of(z.detach().numpy())[0] > 0.02


def test_what_stands_still_is_set_going(data):
    made = trainer(data, steps=30, rate=1e-12, decay=0.0)
    before = made.network.backbone.net[0].weight.clone()
    told = regulated(made)
    assert told[0]["kind"] == "frozen"
    assert not torch.equal(before, made.network.backbone.net[0].weight)


def test_layers_that_someone_froze_stay_frozen(data):
    made = trainer(data, steps=30)
    made.network.backbone.requires_grad_(False)
    before = made.network.backbone.net[0].weight.clone()
    assert regulated(made) == []
    assert torch.equal(before, made.network.backbone.net[0].weight)


def test_the_end_of_the_schedule_is_not_frozen():
    watch = Watch()
    for step in range(200):
        pace = 10.0 ** (-step / 10)
        assert watch.judge(Look(step, **{**FINE, "change": 0.01 * pace}, pace=pace)) is None


def test_what_nothing_helps_ends_at_the_last_good_state(data):
    made = trainer(data, steps=100)
    made.shows = lambda n: Seen([np.full((64, 8, 8, 1), np.nan)] * 2)
    before = {k: v.clone() for k, v in made.network.named_parameters()}
    told = regulated(made)
    assert f"nothing helped {MOST} times" in told[-1]["did"]
    assert made.step < 20
    assert all(torch.equal(before[k], v) for k, v in made.network.named_parameters())


def test_a_gradient_that_is_no_number_is_seen(data):
    made = trainer(data, steps=8)
    weight = made.network.backbone.net[0].weight
    weight.register_hook(lambda g: g * float("nan") if made.step == 4 else g)
    told = regulated(made)
    assert [row["kind"] for row in told] == ["not finite"]
    assert bool(weight.isfinite().all())


def test_what_is_too_good_is_told_once_and_ends_nothing():
    class Fake:
        step, network, plan = 0, None, None
        fabric = type("F", (), {"broadcast": staticmethod(lambda x: x)})

        def weights(self):
            return {}

        def look(self):
            self.step += 1
            return Look(self.step, **{**FINE, "loss": 1e-4})

    told, fake = [], Fake()
    regulator = Regulator(fake, lambda _, facts: told.append(facts))
    assert all(regulator.after() for _ in range(200))
    assert [row["kind"] for row in told] == ["too good"]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_healthy_trainings_are_left_alone(data, name):
    assert regulated(trainer(data, name, steps=60)) == []
