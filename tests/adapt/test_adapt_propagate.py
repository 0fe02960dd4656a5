"""Labels spread along neighbours, one a class is enough where classes are apart."""

from __future__ import annotations

import numpy as np
import pytest

from stepwell.adapt import PROPAGATED, Candidate, chosen_head, suggest_rows, unsure_of
from stepwell.adapt.propagate import Spread, neighbour_graph
from stepwell.kit.nearest import unit


@pytest.fixture(scope="module")
def arcs():
    """Two long arcs on a sphere: examples far apart on one are nearer to the other."""
    rng = np.random.default_rng(0)
    turn, kind = rng.uniform(0, np.pi, 600), np.arange(600) % 2
    x = np.stack([np.cos(turn), np.sin(turn), 0.7 * (2 * kind - 1)], 1)
    return unit(x + 0.03 * rng.standard_normal(x.shape)), kind


def test_one_label_a_class_tells_all_others(arcs):
    x, kind = arcs
    ends = (x[:, 0] > 0.7, x[:, 0] < -0.7)  # the label of each at another end
    first = np.array([np.flatnonzero((kind == c) & ends[c])[0] for c in (0, 1)])
    labelled = x[first]
    rest = np.delete(x, first, 0)
    given = Spread(labelled, rest).spread(np.array([0, 1]), np.array([0, 1]))
    assert (given[2:] == np.delete(kind, first)).mean() > 0.95
    told = (labelled @ rest.T).argmax(0)  # by the nearer label alone
    assert (told == np.delete(kind, first)).mean() < 0.9


def test_the_map_it_leaves_tells_new_examples(arcs):
    x, kind = arcs
    rows = np.concatenate([np.flatnonzero(kind == c)[:3] for c in (0, 1)])
    found = chosen_head(
        {"z": x[rows]},
        [str(c) for c in kind[rows]],
        list(map(str, rows)),
        [Candidate(("z",), PROPAGATED)],
        pool=x[300:500],
    )
    assert found.head.how == PROPAGATED
    told = found.head({"z": x[500:]}).argmax(1)
    assert (told == kind[500:]).mean() > 0.9


def test_without_others_nothing_is_propagated(arcs):
    x, kind = arcs
    tried = [Candidate(("z",), PROPAGATED), Candidate(("z",))]
    found = chosen_head({"z": x}, [str(c) for c in kind], list(map(str, range(600))), tried)
    assert [row["how"] for row in found.rows] == ["logistic"]


def test_a_neighbour_graph_is_symmetric_and_knows_no_loops(arcs):
    graph = neighbour_graph(np.concatenate([arcs[0], arcs[0][:3]]))  # copies too
    assert abs(graph - graph.T).max() < 1e-12
    assert abs(graph.diagonal()).max() == 0
    assert (graph.getnnz(1) >= 9).all()


def test_what_lies_between_labels_is_unsure(arcs):
    x, kind = arcs
    rows = np.concatenate([np.flatnonzero(kind == c)[:5] for c in (0, 1)])
    between = unit(np.array([[0.5, 0.8, 0.0], [-0.5, 0.8, 0.01]]))
    others = np.concatenate([np.delete(x, rows, 0), between])
    unsure = unsure_of(x[rows], kind[rows], others)
    assert unsure.min() >= 0
    assert unsure.max() <= 1
    assert unsure[-2:].min() > np.quantile(unsure, 0.9)


def test_suggestions_cover_what_has_no_label():
    """Of four clusters, those without a label first, each by its most typical example."""
    rng = np.random.default_rng(0)
    centres = np.eye(4)
    kind = np.repeat(np.arange(4), 50)
    x = unit(centres[kind] + 0.15 * rng.standard_normal((200, 4)))
    labelled = np.array([0, 50])
    chosen, typical = suggest_rows(x, 2, labelled)
    assert sorted(kind[chosen]) == [2, 3]
    assert all(typical[i] > np.median(typical[kind == kind[i]]) for i in chosen)
    assert len(set(suggest_rows(x, 500, labelled)[0])) == 198
    assert not len(suggest_rows(x, 5, np.arange(200))[0])
    # Of those without a label, the cluster that is less sure.
    for least in (2, 3):
        unsure = np.where(kind == least, 0.9, 0.1)
        assert (
            kind[suggest_rows(x, 1, np.array([0, 50, 120 if least == 3 else 170]), unsure)[0]]
            == least
        )
