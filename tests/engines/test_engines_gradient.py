"""The training loop and what it is made of, on real digits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

torch = pytest.importorskip("torch", reason="torch is an optional part")
lightning_fabric = pytest.importorskip("lightning_fabric")

from stepwell.engines.gradient.ahead import Batches  # noqa: E402
from stepwell.engines.gradient.checkpoint import load, save  # noqa: E402
from stepwell.engines.gradient.loop import Trainer  # noqa: E402
from stepwell.engines.gradient.network import Network, Teacher  # noqa: E402
from stepwell.engines.gradient.pixels import Decoded  # noqa: E402
from stepwell.engines.gradient.plan import Plan, check_batch, fitting_batch, planned  # noqa: E402
from stepwell.interfaces import Batch, Seen, StepwellError, UsageError  # noqa: E402
from stepwell.kit.hashing import digest_rows  # noqa: E402
from stepwell.objectives import OBJECTIVES, Task  # noqa: E402
from stepwell.objectives.tokens import OverTokens  # noqa: E402

BATCH = 64


def digits(count=256):
    images = (load_digits().images[:count, :, :, None] * 15).astype(np.uint8)
    ids = np.array([f"{i}.png" for i in range(len(images))])
    return Batch(ids, {"image": images}, ids, digest_rows([i.tobytes() for i in images]))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    batch = digits()
    parts = (batch.take(slice(i, i + 50)) for i in range(0, len(batch), 50))
    return Decoded(tmp_path_factory.mktemp("decoded"), parts)


class Convnet(torch.nn.Module):
    """A small one with 32 features, or 8 of the whole and of each of 2 x 2 places."""

    def __init__(self, places):
        super().__init__()
        self.places, self.width = places, 8 if places else 32
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, 2, 1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.1),
            torch.nn.AdaptiveAvgPool2d(2),
        )

    def forward(self, x):
        found = self.net(x)
        return found.mean((2, 3)) if self.places else found.flatten(1)

    def everything(self, x):
        found = self.net(x).flatten(2).transpose(1, 2)
        return torch.cat([found.mean(1, keepdim=True), found], 1)

    def answering(self, x, answer):
        return self.everything(x)[:, 1:]


def trainer(data, objective="barlow_twins", **options):
    """A small convnet on digits: noisy twins, which of them is turned, what is hidden, or as a
    text of four letters: how bright each quarter is."""
    plan = Plan(**{"steps": 12, "batch": BATCH, "rate": 1e-3, **options})
    torch.manual_seed(plan.seed)
    kind = OBJECTIVES[objective]
    backbone = Convnet(kind.reads != "whole")
    task = Task({"turned": (1, 2)}, kind.views, (1, 8, 8), 4, tokens=3)

    def shows(number):
        rows, epoch = data.rows_of(number, plan.batch // plan.accumulate, plan.seed)
        images = data.take(rows).data["image"].astype(np.float32) / 255
        rng = np.random.default_rng((epoch, number))
        views = [images + 0.1 * rng.standard_normal(images.shape) for _ in range(kind.views)]
        if kind.takes == "hidden":
            return Seen(views, hidden=[rng.random((len(rows), 4, 4)) < 0.5 for _ in views])
        if kind.takes == "views":
            return Seen(views)
        if issubclass(kind, OverTokens):
            quarters = images.reshape(-1, 2, 4, 2, 4).mean((2, 4)).reshape(-1, 4)
            masked = rng.random(quarters.shape) < 0.5
            return Seen(views, {"tokens": np.digitize(quarters, (0.2, 0.4)), "masked": masked})
        turned = rng.integers(0, 2, len(rows))
        views = [np.where(turned[:, None, None, None], v[:, ::-1], v) for v in views]
        return Seen(views, {"turned": turned})

    def prepare(images):
        return torch.as_tensor(images, dtype=torch.float32).permute(0, 3, 1, 2)

    fabric = lightning_fabric.Fabric(accelerator="cpu", devices=1)
    made = kind.made(backbone.width, task)
    return Trainer(fabric, backbone, made, shows, prepare, plan)


def weights_of(made):
    return {name: value.clone() for name, value in made.network.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# plan


def test_the_rate_rises_then_falls_to_nothing():
    plan = Plan(steps=100, batch=8, rate=1.0, warmup=0.1)
    rates = [plan.rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0, abs=1e-12)


def test_the_teacher_slows_down_until_it_stands():
    plan = Plan(steps=100, batch=8, momentum=0.99)
    assert plan.momentum_at(0) == pytest.approx(0.99)
    assert plan.momentum_at(100) == pytest.approx(1.0)


@pytest.mark.parametrize(("examples", "batch"), [(40, 16), (256, 32), (10_000, 128), (10**6, 256)])
def test_batches_fit_the_data(examples, batch):
    assert fitting_batch(examples) == batch
    assert planned(examples, 10 * examples).batch == batch


def test_what_is_told_goes_before_defaults():
    plan = planned(1000, 5000, batch=50, optimizer="SGD", rate=None, clip=0.0)
    assert (plan.batch, plan.steps, plan.optimizer, plan.clip) == (50, 100, "SGD", 0.0)
    assert plan.rate == pytest.approx(0.03 * 50 / 128)


# data


def test_decoded_examples_are_those_of_the_source(data):
    batch, rows = digits(), np.array([200, 3, 77])
    found, expected = data.take(rows), batch.take(rows)
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_array_equal(found.data["image"], expected.data["image"])
    np.testing.assert_array_equal(found.digest, expected.digest)


def test_an_epoch_sees_every_example_once_in_an_order_of_its_own(data):
    steps = len(data) // BATCH
    epochs = [
        np.concatenate([data.rows_of(e * steps + s, BATCH, 0)[0] for s in range(steps)])
        for e in range(2)
    ]
    for rows in epochs:
        assert sorted(rows.tolist()) == list(range(len(data)))
    assert epochs[0].tolist() != epochs[1].tolist()
    assert data.rows_of(steps + 1, BATCH, 0)[1] == 1
    np.testing.assert_array_equal(data.rows_of(0, BATCH, 0)[0], epochs[0][:BATCH])


def test_no_examples_are_an_error(tmp_path):
    with pytest.raises(StepwellError, match="can be read"):
        Decoded(tmp_path, iter(()))


@pytest.mark.parametrize("kind", ["cpu", "meta"])
def test_batches_come_in_order_and_the_next_is_made_ahead_off_the_cpu(kind):
    made = []

    def shows(number):
        made.append(number)
        return Seen([np.full((1, 1, 1, 1), number)])

    batches = Batches(shows, range(3), torch.device(kind))
    assert [int(batches.next().views[0].item()) for _ in range(2)] == [0, 1]
    batches.prepare()
    batches.prepare()
    assert made == ([0, 1] if kind == "cpu" else [0, 1, 2])
    assert batches.next().views[0] == 2
    batches.prepare()  # there is none
    with pytest.raises(StopIteration):
        batches.next()


# teacher and checkpoint


def test_a_teacher_keeps_a_share_of_itself():
    torch.manual_seed(0)
    network = Network(torch.nn.Linear(3, 4), OBJECTIVES["byol"](4))
    teacher = Teacher(network)
    before = teacher.backbone.weight.clone()
    with torch.no_grad():
        network.backbone.weight += 1
    teacher.follow(network, 0.9)
    torch.testing.assert_close(teacher.backbone.weight, before + 0.1)
    assert not teacher([torch.ones(2, 3)])[0].requires_grad


def test_any_nested_state_survives_a_file(tmp_path):
    state = {
        "step": 3,
        "optimizer": {"state": {0: {"mean": torch.arange(3.0)}}, "groups": [{"lr": 0.1}]},
        "none": None,
        "random": torch.get_rng_state(),
    }
    save(tmp_path / "c.safetensors", state)
    found = load(tmp_path / "c.safetensors")
    assert found["step"] == 3
    assert found["none"] is None
    assert found["optimizer"]["groups"] == [{"lr": 0.1}]
    assert torch.equal(found["optimizer"]["state"][0]["mean"], torch.arange(3.0))
    assert torch.equal(found["random"], state["random"])
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_checkpoint_is_an_error(tmp_path, content):
    path = tmp_path / "c.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StepwellError, match="whole checkpoint"):
        load(path)


# the loop


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_lowers_the_loss_and_changes_the_backbone(data, name):
    made = trainer(data, name, steps=30)
    before, losses = weights_of(made), []
    for _ in made.steps():
        losses.append(made.loss)
    assert np.isfinite(losses).all()
    assert not equal(before, weights_of(made))
    if name not in ("dino", "ibot", "byol", "simsiam"):  # their targets move with them
        assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("name", ["barlow_twins", "byol", "dino", "lejepa"])
def test_a_training_that_goes_on_is_bit_for_bit_the_one_that_did_not_stop(data, name, tmp_path):
    whole = trainer(data, name)
    list(whole.steps())
    first = trainer(data, name)
    list(first.steps(until=5))
    save(tmp_path / "c.safetensors", first.state())
    torch.manual_seed(99)  # whatever happens in between
    second = trainer(data, name, seed=0)
    second.restore(load(tmp_path / "c.safetensors"))
    assert list(second.steps()) == list(range(6, 13))
    assert equal(weights_of(whole), weights_of(second))
    assert whole.loss == second.loss


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_a_training_goes_on_whatever_the_layout_of_weights(data, optimizer, tmp_path):
    def made():
        found = trainer(data, "simclr", optimizer=optimizer)
        for weight in found.network.parameters():
            if weight.ndim == 4:  # columns first: as channels_last is for more than one channel
                weight.data = weight.data.mT.contiguous().mT
        return found

    whole = made()
    assert not all(p.is_contiguous() for p in whole.network.parameters())
    list(whole.steps())
    first = made()
    list(first.steps(until=5))
    save(tmp_path / "c.safetensors", first.state())
    second = made()
    second.restore(load(tmp_path / "c.safetensors"))
    list(second.steps())
    assert equal(weights_of(whole), weights_of(second))


def test_what_is_not_finite_changes_no_weight(data):
    for optimizer in ("AdamW", "SGD"):
        made = trainer(data, "simclr", optimizer=optimizer)
        list(made.steps(until=3))
        before, loss = weights_of(made), made._loss
        made._loss = lambda shown, loss=loss: loss(shown) * torch.nan
        list(made.steps(until=4))
        assert np.isnan(made.loss)
        names = {name for name, _ in made.network.named_parameters()}
        assert all(torch.equal(before[name], weights_of(made)[name]) for name in names)
        made._loss = loss
        list(made.steps(until=5))
        assert np.isfinite([p.detach().sum() for p in made.network.parameters()]).all()


def test_two_trainings_with_one_seed_are_one(data):
    made = []
    for seed in (0, 0, 1):
        made.append(trainer(data, seed=seed))
        list(made[-1].steps(until=4))
    one, two, other = made
    assert equal(weights_of(one), weights_of(two))
    assert not equal(weights_of(one), weights_of(other))


def test_parts_of_a_batch_are_warned_of(data):
    with pytest.warns(UserWarning, match="compared within itself"):
        made = trainer(data, accumulate=4)
    list(made.steps(until=3))
    assert made.step == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trainer(data)


def test_vectors_do_not_decay(data):
    groups = trainer(data).optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert all(p.ndim <= 1 for p in groups[1]["params"])


def test_an_unknown_optimizer_names_the_nearest(data):
    with pytest.raises(UsageError, match="AdamW"):
        trainer(data, optimizer="AdmW")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((3, 1, 1, 100), "at least 4"),
        ((16, 1, 16, 100), "2 a part"),
        ((32, 3, 1, 100), "share evenly"),
        ((10, 1, 4, 100), "share evenly"),
        ((128, 1, 1, 100), "at most all 100"),
    ],
)
def test_batches_that_can_not_be_compared_are_refused(sizes, said):
    with pytest.raises(StepwellError, match=said):
        check_batch(*sizes)


def test_other_processes_open_what_one_has_decoded(data, tmp_path):
    batch = digits()
    own = Decoded(tmp_path / "d", [batch])
    own.share(tmp_path / "d")
    found, rows = Decoded.shared(tmp_path / "d"), np.array([200, 3, 77])
    assert found.digest == own.digest == data.digest
    np.testing.assert_array_equal(found.take(rows).data["image"], batch.data["image"][rows])
    np.testing.assert_array_equal(found.rows_of(7, 32, 0)[0], own.rows_of(7, 32, 0)[0])


def test_texts_stand_in_batches_with_others_as_long(tmp_path):
    rng = np.random.default_rng(0)
    tokens = (np.arange(32) < rng.integers(1, 33, (400, 1))).astype(np.uint16) * 9
    ids = np.array([f"{i}" for i in range(400)])
    batch = Batch(ids, {"tokens": tokens}, ids, digest_rows(i.encode() for i in ids))
    data, size = Decoded(tmp_path / "d", [batch]), 16
    rows = [data.rows_of(step, size, 0)[0] for step in range(25)]
    assert sorted(np.concatenate(rows)) == list(range(400))
    spread = [np.ptp((tokens[some] > 0).sum(1)) for some in rows]
    assert np.mean(spread) < 4  # of 31 among all
    lengths = [(tokens[some] > 0).sum(1).mean() for some in rows]
    assert np.corrcoef(lengths, range(25))[0, 1] < 0.5  # short ones do not come first
    other = data.rows_of(25, size, 0)
    assert other[1] == 1
    assert sorted(other[0]) != sorted(rows[0])
    assert np.array_equal(data.rows_of(3, size, 0)[0], rows[3])
