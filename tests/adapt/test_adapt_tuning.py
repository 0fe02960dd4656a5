"""Fine-tuning a network: something new is learned, and what was known stays."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stepwell.adapt.rules import logistic  # noqa: E402
from stepwell.adapt.tuning import Tuner, Tuning, layer_of  # noqa: E402
from stepwell.interfaces import StepwellError  # noqa: E402
from stepwell.tuning import least_moved  # noqa: E402


def features(module, x):
    with torch.no_grad():
        return module(torch.tensor(x)).double().numpy()


@pytest.fixture(scope="module")
def task():
    """Whether two numbers have the same sign: their products have to be learned."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 48), torch.nn.ReLU(), torch.nn.Linear(48, 6), torch.nn.ReLU()]
    module = torch.nn.Sequential(*layers).eval()
    x = np.random.default_rng(0).standard_normal((1200, 6)).astype(np.float32)
    return module, x, (x[:, 0] * x[:, 1] > 0).astype(int)


def tuned(task, **options):
    module, x, truth = task
    probe = logistic(features(module, x[:600]), truth[:600], 1.0)
    tuner = Tuner(module, torch.tensor, probe, Tuning(**{"steps": 300, "rate": 0.02} | options))
    tuner.run(lambda rows, _: x[:600][rows], truth[:600], lambda rows, _: x[rows], 600)
    return tuner, probe


def right(tuner, probe, task, share):
    _, x, truth = task
    state, scorer = tuner.between(share, probe)
    twin = tuner.module
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    twin.load_state_dict(state)
    told = scorer(features(twin, x[600:])).argmax(1)
    twin.load_state_dict(before)
    return (told == truth[600:]).mean()


def moved(tuner, task):
    module, x, _ = task
    old, new = features(module, x), features(tuner.module, x)
    return np.square(old - new).sum(1).mean() / np.square(old - old.mean(0)).sum(1).mean()


def test_it_learns_what_a_probe_can_not_and_leaves_the_first_network_alone(task):
    before = features(*task[:2])
    tuner, probe = tuned(task, keep=0.0)
    assert np.array_equal(features(*task[:2]), before)
    first, last = (right(tuner, probe, task, share) for share in (0.0, 1.0))
    assert last > first + 0.1


def test_features_stay_where_they_are_asked_to(task):
    free, kept = (moved(tuned(task, keep=weight)[0], task) for weight in (0.0, 30.0))
    assert kept < free / 3


def test_between_is_before_and_after_at_its_ends(task):
    tuner, probe = tuned(task, steps=20)
    for share, module in ((0.0, task[0]), (1.0, tuner.module)):
        state, scorer = tuner.between(share, probe)
        for name, value in module.state_dict().items():
            assert torch.equal(state[name], value)
    assert np.allclose(scorer.weight, tuner.head.weight.detach().numpy())


def test_low_ranks_change_little_and_are_merged(task):
    pytest.importorskip("peft")
    tuner, probe = tuned(task, lora=2, keep=0.0)
    assert list(tuner.module.state_dict()) == list(task[0].state_dict())
    change = tuner.module[0].weight - task[0][0].weight
    assert torch.linalg.matrix_rank(change, atol=1e-4) <= 2
    assert right(tuner, probe, task, 1.0) > right(tuner, probe, task, 0.0)


def test_the_same_seed_gives_the_same_weights(task):
    one, other = (tuned(task, steps=15)[0].module.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_that_run_away_are_told(task):
    with pytest.raises(StepwellError, match="lower --rate"):
        tuned(task, rate=float("inf"), steps=3)


def test_a_rate_rises_slowly_and_falls_and_early_layers_get_less(task):
    plan = Tuning(steps=100)
    rates = [plan.rate_at(step) for step in range(100)]
    assert np.argmax(rates) == 49
    assert rates[0] == pytest.approx(0.02)
    assert rates[-1] < 0.01
    assert layer_of("net.layer1.0.conv1.weight") == "net.layer1.0"
    assert layer_of("net.conv1.weight") == "net.conv1"
    probe = logistic(features(*task[:2])[:99], task[2][:99], 1.0)
    tuner = Tuner(task[0], torch.tensor, probe, Tuning(steps=1, rate=1.0, falloff=0.5))
    assert [group["lr"] for group in tuner._groups()] == [0.5, 1.0, 1.0]


def test_the_dial_takes_the_least_moved_point_that_is_not_surely_worse():
    rng = np.random.default_rng(0)
    best = rng.random(400) < 0.9
    near, far = best.copy(), best.copy()
    near[np.flatnonzero(best)[:4]] = False
    near[np.flatnonzero(~best)[:3]] = True
    far[:60] = False
    assert least_moved([far, near, best], 0.0) == 2
    assert least_moved([far, near, best], 0.5) == 1
    assert least_moved([best, near], 0.5) == 0


def test_low_ranks_are_of_exactly_the_layers_that_have_matrices():
    """peft takes lists for ends of names: "0" would also mean "1.0"."""
    pytest.importorskip("peft")
    inner = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(4, 4))
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), inner).eval()
    x = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    truth = (x[:, 0] > 0).astype(int)
    probe = logistic(features(module, x), truth, 1.0)
    tuner = Tuner(module, torch.tensor, probe, Tuning(steps=3, lora=1))
    tuner.run(lambda rows, _: x[rows], truth, None, 0)
    assert list(tuner.module.state_dict()) == list(module.state_dict())
    with pytest.raises(StepwellError, match="for --lora, found none"):
        Tuner(torch.nn.LayerNorm(4), torch.tensor, probe, Tuning(steps=1, lora=1))
