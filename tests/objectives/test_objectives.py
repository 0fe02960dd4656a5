"""Each loss against its paper's formula written out in plain numpy, value and gradient."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an optional part")

from stepwell.objectives import OBJECTIVES  # noqa: E402
from stepwell.objectives.lejepa import POINTS, REACH, SLICES  # noqa: E402

N, D = 7, 4
VIEWS = ("z", "partner")


def rows(seed, n=N, d=D):
    return np.random.default_rng(seed).standard_normal((n, d))


def made(name, **options):
    """An objective whose outputs are (n, D), in float64."""
    torch.manual_seed(0)
    return OBJECTIVES[name](6, **options).double()


# the formulas, written for reading and not for speed


def cosine(a, b):
    return a @ b / np.sqrt(a @ a) / np.sqrt(b @ b)


def barlow_twins(z, y):
    z, y = ((s - s.mean(0)) / np.sqrt(s.var(0) + 1e-5) for s in (z, y))
    total = 0.0
    for i in range(z.shape[1]):
        for j in range(z.shape[1]):
            c = sum(z[b, i] * y[b, j] for b in range(len(z))) / len(z)
            total += (1 - c) ** 2 if i == j else 0.005 * c**2
    return total


def vicreg(z, y):
    n, d = z.shape
    total = 25 * sum(((z[i] - y[i]) ** 2).sum() for i in range(n)) / n / d
    for side in (z, y):
        cov = np.cov(side.T)
        total += 25 * np.maximum(0, 1 - np.sqrt(np.diag(cov) + 1e-4)).mean() / 2
        total += sum(cov[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    return total


def simclr(z, y, tau=0.2):
    both, n = np.concatenate([z, y]), len(z)
    total = 0.0
    for i in range(2 * n):
        near = {j: np.exp(cosine(both[i], both[j]) / tau) for j in range(2 * n) if j != i}
        total -= np.log(near[(i + n) % (2 * n)] / sum(near.values()))
    return total / (2 * n)


def spectral_contrastive(z, y):
    n = len(z)
    apart = [(z[i] @ y[j]) ** 2 for i in range(n) for j in range(n) if i != j]
    return np.mean(apart) - 2 * np.mean([z[i] @ y[i] for i in range(n)])


def whitened_mse(z, y):
    sides = []
    for side in (z, y):
        side = side - side.mean(0)
        cov = side.T @ side / (len(side) - 1)
        cov += 1e-3 * np.trace(cov) / len(cov) * np.eye(len(cov))
        white = side @ np.linalg.inv(np.linalg.cholesky(cov)).T
        sides.append(white / np.sqrt((white**2).sum(1, keepdims=True)))
    return np.mean([((a - b) ** 2).sum() for a, b in zip(*sides, strict=True)])


def lejepa(z, y):
    random = torch.Generator().manual_seed(0)
    a = torch.randn(z.shape[1], SLICES, generator=random).double().numpy()
    a /= np.sqrt((a**2).sum(0))
    t = np.linspace(-REACH, REACH, POINTS)
    normal, total = np.exp(-(t**2) / 2), 0.0
    for side in (z, y):
        for m in range(SLICES):
            phi = np.exp(1j * np.outer(side @ a[:, m], t)).mean(0)
            total += len(side) * np.trapezoid(np.abs(phi - normal) ** 2 * normal, t) / SLICES / 2
    middle = (z + y) / 2
    agree = (((z - middle) ** 2).mean() + ((y - middle) ** 2).mean()) / 2
    return 0.95 * agree + 0.05 * total


# with targets: p and q are predictions of two views, t and s their targets


def simsiam(p, q, t, s):
    n = len(p)
    return -sum(cosine(p[i], s[i]) / 2 + cosine(q[i], t[i]) / 2 for i in range(n)) / n


def byol(p, q, t, s):
    n = len(p)
    return sum(4 - 2 * cosine(p[i], s[i]) - 2 * cosine(q[i], t[i]) for i in range(n)) / n / 2


def moco_v3(p, q, t, s, tau=0.2):
    total, n = 0.0, len(p)
    for asked, known in ((p, s), (q, t)):
        for i in range(n):
            near = [np.exp(cosine(asked[i], known[j]) / tau) for j in range(n)]
            total -= 2 * tau * np.log(near[i] / sum(near)) / n
    return total


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def dino(p, q, t, s):
    total, n = 0.0, len(p)
    for student, teacher in ((p, s), (q, t)):
        for i in range(n):
            total -= softmax(teacher[i] / 0.04) @ np.log(softmax(student[i] / 0.1)) / n / 2
    return total


def swav(p, q, t, s):
    total, n = 0.0, len(p)
    for student, scores in ((p, s), (q, t)):
        codes = np.exp(scores / 0.05)
        for _ in range(3):
            codes = codes / codes.sum(0) / codes.shape[1]
            codes = codes / codes.sum(1, keepdims=True) / n
        codes = codes / codes.sum(1, keepdims=True)
        total -= sum(codes[i] @ np.log(softmax(student[i] / 0.1)) for i in range(n)) / n / 2
    return total


JOINT = [barlow_twins, vicreg, simclr, spectral_contrastive, whitened_mse, lejepa]
TARGETED = [simsiam, byol, moco_v3, dino, swav]
OPTIONS = {"dino": {"prototypes": D}, "swav": {"prototypes": D}}


def test_every_objective_has_its_formula_here():
    viewed = {name for name, kind in OBJECTIVES.items() if kind.takes == "views"}
    assert {f.__name__ for f in (*JOINT, *TARGETED)} == viewed


def slope(function, at, step=1e-5):
    """Central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = [at.copy(), at.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        found[place] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return found


@pytest.mark.parametrize("formula", [*JOINT, *TARGETED], ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_are_those_of_the_paper(formula, seed):
    name = formula.__name__
    targets = [rows(seed + 20), rows(seed + 30)] if formula in TARGETED else []
    z, partner = rows(seed), rows(seed) + 0.5 * rows(seed + 10)
    objective = made(name, **OPTIONS.get(name, {})).eval()
    seen = [torch.tensor(side, requires_grad=True) for side in (z, partner)]
    loss = objective.loss(seen, [torch.tensor(t) for t in targets])
    loss.backward()
    assert float(loss.detach()) == pytest.approx(formula(z, partner, *targets), rel=1e-6)
    ours = [side.grad.numpy() for side in seen]
    theirs = [
        slope(lambda x: formula(x, partner, *targets), z),
        slope(lambda x: formula(z, x, *targets), partner),
    ]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 * max(1, np.abs(other).max()))


@pytest.mark.parametrize("name", [f.__name__ for f in (*JOINT, *TARGETED)])
def test_heads_fit_and_the_loss_falls_under_descent(name):
    torch.manual_seed(0)
    objective = OBJECTIVES[name](16)
    features = torch.randn(80, 16)
    views = [features + 0.1 * torch.randn(80, 16) for _ in range(2)]
    descent = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    losses, targets = [], [objective.projector(view).detach() for view in views]
    for _ in range(30):
        projected = [objective.projector(view) for view in views]
        seen = [objective.predictor(z) for z in projected]
        loss = objective.loss(seen, targets)
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("simclr", torch.ones(N, D)),
        ("vicreg", torch.zeros(N, D)),
        ("spectral_contrastive", torch.zeros(N, D)),
        ("moco_v3", torch.ones(N, D)),
        ("dino", torch.zeros(N, D)),
        ("swav", torch.zeros(N, D)),
    ],
)
def test_a_collapsed_embedding_has_the_loss_of_chance(name, seen):
    objective = made(name, **OPTIONS.get(name, {})).eval()
    seen = seen.double()
    expected = objective.chance(N)
    if name == "simclr":  # it is also its own rival no more
        assert expected == pytest.approx(log(2 * N - 1))
    assert float(objective.loss([seen, seen], [seen, seen])) == pytest.approx(expected, abs=1e-6)


def test_several_views_are_all_compared():
    views = [torch.tensor(rows(i)) for i in range(3)]
    pair = made("simsiam").loss(views[:2], views[:2])
    three = made("simsiam").loss(views, views)
    assert not torch.isclose(pair, three)


def test_the_teachers_centre_follows_its_mean():
    objective = made("dino", prototypes=D)
    t = [torch.tensor(rows(0)), torch.tensor(rows(1))]
    objective.loss(t, t)
    expected = 0.1 * torch.cat(t).mean(0)
    torch.testing.assert_close(objective.centre, expected)


@pytest.mark.parametrize("formula", [barlow_twins, simclr], ids=lambda f: f.__name__)
def test_small_views_are_compared_with_the_two_large_ones(formula):
    views = [rows(seed) for seed in range(4)]
    found = made(formula.__name__).loss([torch.tensor(v) for v in views], [])
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert float(found) == pytest.approx(np.mean([formula(views[i], views[j]) for i, j in pairs]))


def test_a_teacher_sees_large_views_only():
    views, targets = [rows(seed) for seed in range(3)], [rows(7), rows(8)]
    found = (
        made("dino", prototypes=D)
        .eval()
        .loss(*(list(map(torch.tensor, s)) for s in (views, targets)))
    )
    pairs = [(0, 1), (1, 0), (2, 0), (2, 1)]
    both = [dino(views[i], views[i], targets[j], targets[j]) for i, j in pairs]
    assert float(found) == pytest.approx(np.mean(both))
