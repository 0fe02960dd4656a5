"""Objectives on pseudo-labels and on hidden patches, against their formulas in plain numpy."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an optional part")

from stepwell.objectives import OBJECTIVES, Task  # noqa: E402
from stepwell.objectives.hidden import at_places  # noqa: E402

N, WIDTH, PLACES, GRID = 5, 6, 4, 4
CLASSES = {"turn": (1, 4), "order": (3, 3)}
TOKENS = 7
TASK = Task(CLASSES, views=2, pixels=(3, 8, 8), places=PLACES, tokens=TOKENS)


def made(name):
    """In float64."""
    torch.manual_seed(0)
    return OBJECTIVES[name].made(WIDTH, TASK).double()


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def told_classes(seed):
    rng = np.random.default_rng(seed)
    return {"turn": rng.integers(0, 4, N), "order": rng.integers(0, 3, (N, 3))}


def gradients(objective, seen, targets, told):
    """The loss, and its gradient at what is seen."""
    seen = [torch.tensor(each, requires_grad=True) for each in seen]
    targets = [torch.tensor(each) for each in targets]
    loss = objective.loss(seen, targets, {k: torch.tensor(v) for k, v in told.items()})
    loss.backward()
    return float(loss.detach()), [each.grad.numpy() for each in seen]


def check(objective, formula, seen, targets, told, step=1e-5):
    """Value, and the gradient along ten random directions."""
    value, grads = gradients(objective, seen, targets, told)
    assert value == pytest.approx(formula(seen), rel=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(10):
        ways = [rng.standard_normal(each.shape) for each in seen]
        ahead, behind = (
            formula([z + sign * step * way for z, way in zip(seen, ways, strict=True)])
            for sign in (1, -1)
        )
        expected = sum((g * way).sum() for g, way in zip(grads, ways, strict=True))
        assert (ahead - behind) / (2 * step) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def features(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", ["cross_entropy", "regression"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_told_of_classes(name, seed):
    objective, told = made(name).eval(), told_classes(seed)
    objective.head = torch.nn.Linear(2 * WIDTH, 4 + 3 * 3).double()  # without kinks
    seen = [features(seed, N, WIDTH), features(seed + 9, N, WIDTH)]

    def formula(views):
        with torch.no_grad():
            scores = objective.head(torch.tensor(np.concatenate(views, 1))).numpy()
        total, first = 0.0, 0
        for label, (count, kinds) in CLASSES.items():
            wanted = np.reshape(told[label], (N, count))
            for i in range(N):
                for j in range(count):
                    said = scores[i, first + j * kinds : first + (j + 1) * kinds]
                    if name == "cross_entropy":
                        one = -np.log(softmax(said)[wanted[i, j]])
                    else:
                        one = ((said - np.eye(kinds)[wanted[i, j]]) ** 2).sum()
                    total += one / N / count / len(CLASSES)
            first += count * kinds
        return total

    check(objective, formula, seen, [], told)


@pytest.mark.parametrize("name", ["masked_token", "next_token"])
@pytest.mark.parametrize("seed", range(3))
def test_tokens_are_told_from_places(name, seed):
    rng, objective = np.random.default_rng(seed), made(name)
    told = {"tokens": rng.integers(0, TOKENS, (N, PLACES)), "masked": rng.random((N, PLACES)) < 0.5}
    told["masked"][:, 2] = True  # of each example one at least
    told["real"] = np.arange(PLACES) <= rng.integers(1, PLACES, N)[:, None]
    weight, bias = (each.detach().numpy() for each in objective.head.parameters())

    def formula(views):
        total = 0.0
        for i in range(N):
            costs = []
            for place in range(PLACES):
                if name == "masked_token" and told["masked"][i, place]:
                    said = softmax(weight @ views[0][i, 1 + place] + bias)
                    costs.append(-np.log(said[told["tokens"][i, place]]))
                if name == "next_token" and place and told["real"][i, place]:
                    said = softmax(weight @ views[0][i, place] + bias)  # of the one before
                    costs.append(-np.log(said[told["tokens"][i, place]]))
            total += np.mean(costs) / N
        return total

    check(objective, formula, [features(seed, N, 1 + PLACES, WIDTH)], [], told)


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_is_told_token_by_token(seed):
    rng, objective = np.random.default_rng(seed), made("seq2seq")
    told = {"tokens": rng.integers(1, TOKENS, (N, PLACES))}
    told["tokens"][0, -1] = 0  # nothing any more
    weight, bias = (each.detach().numpy() for each in objective.head.parameters())

    def formula(views):
        total = 0.0
        for i in range(N):
            costs = []
            for place in range(1, PLACES):
                if told["tokens"][i, place]:
                    said = np.log(softmax(weight @ views[0][i, place - 1] + bias))
                    costs.append(-0.9 * said[told["tokens"][i, place]] - 0.1 * said.mean())
            total += np.mean(costs) / N
        return total

    check(objective, formula, [features(seed, N, PLACES, WIDTH)], [], told)


def half_hidden(seed, views=1):
    """(N, views, GRID, GRID), eight patches of sixteen each."""
    drawn = np.random.default_rng(seed).random((N, views, GRID * GRID))
    return (drawn.argsort(2).argsort(2) < 8).reshape(N, views, GRID, GRID)


@pytest.mark.parametrize("seed", range(3))
def test_masked_autoencoding_is_the_error_on_hidden_pixels(seed):
    objective = made("masked_autoencoding")
    pixels, hidden = features(seed, N, 1, 3, 8, 8), half_hidden(seed)
    seen = [features(seed + 1, N, 1 + PLACES, WIDTH)]

    def formula(views):
        with torch.no_grad():
            patches = objective.decoder(torch.tensor(views[0])).numpy()
        total = 0.0
        for i in range(N):
            errors = []
            for y in range(8):
                for x in range(8):
                    if not hidden[i, 0, y // 2, x // 2]:
                        continue
                    box = np.s_[:, y // 2 * 2 : y // 2 * 2 + 2, x // 2 * 2 : x // 2 * 2 + 2]
                    patch = pixels[i, 0][box]
                    place = 1 + y // 4 * 2 + x // 4
                    said = patches[i, place].reshape(3, 4, 4)[:, y % 4, x % 4]
                    wanted = (pixels[i, 0, :, y, x] - patch.mean()) / np.sqrt(patch.var() + 1e-6)
                    errors.append(((said - wanted) ** 2).mean())
            total += np.mean(errors) / N
        return total

    check(objective, formula, seen, [], {"pixels": pixels, "hidden": hidden})


def mostly(hidden):
    """(PLACES,) of 2 x 2 places: more than half hidden, or else the most hidden ones."""
    share = [hidden[y : y + 2, x : x + 2].mean() for y in (0, 2) for x in (0, 2)]
    return np.array([s > 0.5 or (s == max(share) and max(share) <= 0.5) for s in share])


@pytest.mark.parametrize("seed", range(3))
def test_latent_prediction_is_the_distance_to_a_teacher_that_sees(seed):
    objective, hidden = made("latent_prediction"), half_hidden(seed)
    seen, targets = ([3 * features(s, N, 1 + PLACES, WIDTH)] for s in (seed, seed + 5))

    def formula(views):
        total = 0.0
        for i in range(N):
            errors = []
            for t in np.flatnonzero(mostly(hidden[i, 0])):
                known = targets[0][i, 1 + t]
                wanted = (known - known.mean()) / np.sqrt(known.var() + 1e-5)
                off = np.abs(views[0][i, 1 + t] - wanted)
                errors.append(np.where(off < 2, off**2 / 4, off - 1).mean())
            total += np.mean(errors) / N
        return total

    check(objective, formula, seen, targets, {"hidden": hidden})


@pytest.mark.parametrize("seed", range(3))
def test_ibot_is_dino_and_the_same_at_hidden_places(seed):
    objective, hidden = made("ibot").eval(), half_hidden(seed, 2)
    seen, targets = (
        [features(s + v, N, 1 + PLACES, WIDTH) for v in range(2)] for s in (seed, seed + 5)
    )
    objective.centre = torch.zeros(2, WIDTH).double()
    objective.centre += torch.tensor(features(99, 2, WIDTH))

    def apart(student, teacher, centre, sharp):
        said = np.log(softmax(student / 0.1))
        return -softmax((teacher - centre) / sharp) @ said

    def formula(views):
        total, centre = 0.0, objective.centre.numpy()
        for v in range(2):
            for i in range(N):
                other = targets[1 - v][i, 0]
                total += apart(views[v][i, 0], other, centre[0], 0.04) / N / 2
                places = 1 + np.flatnonzero(mostly(hidden[i, v]))
                parts = [apart(views[v][i, t], targets[v][i, t], centre[1], 0.07) for t in places]
                total += np.mean(parts) / N / 2
        return total

    check(objective, formula, seen, targets, {"hidden": hidden})


def test_at_least_one_place_counts_as_hidden():
    one = torch.zeros(2, 8, 8, dtype=torch.bool)
    one[0, 5, 5] = one[1, :4, :4] = True
    assert at_places(one, 4).tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]
    assert at_places(one, 1).tolist() == [[1], [1]]
    with pytest.raises(ValueError, match="square of places"):
        at_places(one, 3)


@pytest.mark.parametrize("name", [n for n, kind in OBJECTIVES.items() if kind.takes != "views"])
def test_heads_fit_and_the_loss_falls_under_descent(name):
    torch.manual_seed(0)
    objective = OBJECTIVES[name].made(WIDTH, TASK)
    shape = (64, WIDTH) if objective.reads == "whole" else (64, 1 + PLACES, WIDTH)
    example = torch.randn(shape)
    views = [example + 0.1 * torch.randn(shape) for _ in range(2)]
    code = torch.tensor(half_hidden(0)[:1].repeat(64, 0)).repeat(1, 2, 1, 1)
    told = {
        "turn": (views[0].reshape(64, -1)[:, 0] > 0).long(),
        "order": (views[0].reshape(64, -1)[:, :3] > 0).long(),
        "hidden": code,
        "pixels": torch.randn(64, 2, 3, 8, 8),
        "tokens": (views[0][:, 1:, 0] > 0).long() if views[0].ndim == 3 else None,
        "masked": torch.rand(64, PLACES) < 0.5,
    }
    if objective.reads == "answers":
        told["tokens"] = (views[0].roll(1, 1)[:, :, 0] > 0).long() + 1
    descent = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    targets, losses = [objective.projector(view).detach() for view in views], []
    for _ in range(40):
        seen = [objective.predictor(objective.projector(view)) for view in views]
        loss = objective.loss(seen, targets, told)
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_losses_by_chance():
    told = {k: torch.tensor(v) for k, v in told_classes(0).items()}
    for name in ("cross_entropy", "regression"):
        objective = made(name)
        torch.nn.init.zeros_(objective.head[-1].weight)
        torch.nn.init.zeros_(objective.head[-1].bias)
        if name == "regression":
            share = [1 / kinds for count, kinds in CLASSES.values() for _ in range(count * kinds)]
            objective.head[-1].bias.data = torch.tensor(share).double()
        seen = [torch.randn(N, WIDTH).double() for _ in range(2)]
        assert float(objective.loss(seen, [], told).detach()) == pytest.approx(objective.chance(N))
    assert made("cross_entropy").chance(N) == pytest.approx((log(4) + log(3)) / 2)
