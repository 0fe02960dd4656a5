"""Networks against their tangent kernel, and convnets with steps; skipped without torch."""

from __future__ import annotations

import numpy as np
import pytest
from test_staircase_theory import digit_pairs

from stepwell.interfaces import StepwellError
from stepwell.staircase import kernels, networks, simulate
from stepwell.staircase.records import group

torch = pytest.importorskip("torch", reason="torch is an optional part")


def test_the_tangent_kernel_of_a_linear_map_is_the_linear_kernel():
    rows = torch.from_numpy(np.vstack(digit_pairs(10)))
    net = torch.nn.Linear(64, 3, bias=False).double()
    kernel = kernels.tangent_kernel(net, rows, block=7)
    np.testing.assert_allclose(kernel, (rows @ rows.T).numpy(), atol=1e-9)


def test_the_tangent_kernel_is_that_of_autograd():
    rows = torch.from_numpy(np.vstack(digit_pairs(3)))
    net = networks.wide(64, 32, 2, seed=0)

    def gradient(row, output):
        net.zero_grad()
        net(row[None])[0, output].backward()
        return torch.cat([p.grad.flatten() for p in net.parameters()])

    slow = np.array(
        [
            [np.mean([float(gradient(a, o) @ gradient(b, o)) for o in range(2)]) for b in rows]
            for a in rows
        ]
    )
    np.testing.assert_allclose(kernels.tangent_kernel(net, rows), slow, rtol=1e-9)


@pytest.mark.slow
def test_a_wide_network_is_nearer_to_its_kernel_than_a_narrow_one():
    x, y = digit_pairs(25)
    errors = []
    for width in (32, 1024):
        found = []
        for seed in range(3):
            modes, trace = networks.wide_run(x, y, width, 2, seed)
            seen = simulate.crossings(trace.times, trace.eigenvalues)
            found.append(np.abs(seen / modes.times - 1).max())
        errors.append(np.median(found))
    assert errors[1] < errors[0] / 1.5


@pytest.mark.parametrize("name", networks.LOSSES)
def test_losses_against_their_formulas(name):
    rng = np.random.default_rng(0)
    z, other = rng.standard_normal((2, 12, 4))
    ours = float(networks.LOSSES[name](torch.from_numpy(z), torch.from_numpy(other)))
    if name == "barlow_twins":
        cross = (z.T @ other + other.T @ z) / 24
        slow = np.square(cross - np.eye(4)).sum()
    elif name == "vicreg":
        slow = 25 * np.square(z - other).mean()
        for side in (z, other):
            cov = np.cov(side.T)
            slow += 12.5 * np.maximum(0, 1 - np.sqrt(np.diag(cov) + 1e-4)).mean()
            slow += (np.square(cov).sum() - np.square(np.diag(cov)).sum()) / 4
    else:
        rows = np.concatenate([z, other])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        near = np.exp(rows @ rows.T / 0.5)
        slow = -np.mean(
            [np.log(near[i, (i + 12) % 24] / (near[i].sum() - near[i, i])) for i in range(24)]
        )
    assert ours == pytest.approx(slow, rel=1e-9)


def small_training(steps, rate=0.01):
    views = np.stack(digit_pairs(80)).reshape(2, 80, 8, 8, 1).astype(np.float32)
    views -= views.mean((0, 1))
    records = []
    net = networks.convnet(1, 4, seed=0, width=4)
    done = networks.train(
        net,
        lambda step: views[:, step % 2 :: 2],
        (views[0], views[1]),
        networks.Training("barlow_twins", steps, rate),
        lambda event, facts: records.append({"event": event, **facts}),
    )
    return done, group(records)["samples"]


def test_training_is_logged_from_first_to_last():
    done, spectra = small_training(250)
    assert done == 250
    assert len(spectra.times) >= 200
    assert spectra.times[0] == 0
    assert spectra.times[-1] == 250 * 40


def test_divergence_is_said():
    with pytest.raises(StepwellError, match="diverging"):
        small_training(200, rate=1e4)


def test_training_stops_when_asked():
    views = np.stack(digit_pairs(40)).reshape(2, 40, 8, 8, 1).astype(np.float32)
    done = networks.train(
        networks.convnet(1, 2, seed=0, width=4),
        lambda step: views,
        (views[0], views[1]),
        networks.Training("vicreg", 300, 0.01),
        stop=lambda times, eigenvalues: times[-1] >= 1000,
    )
    assert 25 <= done < 30  # 40 images a step, asked at each record
