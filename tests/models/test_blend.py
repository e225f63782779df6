from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from pydantic import ValidationError

from models import blend
from models.base import Interactions
from models.blend import Blend, BlendModel, BlendOptions
from models.registry import Candidate
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

N_USERS, N_ITEMS = 40, 90
IALS = {"ials_rank": 6, "ials_unseen": 5.0, "ials_reg": 0.02, "ials_sweeps": 3}
PARTS = [{"model": "item-graph", "weight": 1}, {"model": "ials", "weight": 3, "parameters": IALS}]


@pytest.fixture(scope="module")
def histories():
    user, item = np.nonzero(np.random.default_rng(3).random((N_USERS, N_ITEMS)) < np.linspace(0.3, 0.02, N_ITEMS))
    times = 86_400 * np.random.default_rng(4).integers(0, 400, len(user))
    return Histories.from_columns(user, item, np.ones(len(user)), times, N_USERS)


@pytest.fixture(scope="module")
def fitted(histories):
    columns = {"user_idx": histories.items.rows, "item_idx": histories.items.items, "timestamp": histories.timestamp}
    return Blend().fit(Interactions.of(N_USERS, N_ITEMS, **columns), {"shares": PARTS})


def blend_plainly(fitted, histories):
    """The oracle: the scores of both parts, each divided by its row's deviation, in double precision."""
    graph, ials = fitted.parts
    links = graph.score_histories(histories).astype(np.float64)
    factors = ials.fold_in(histories).astype(np.float64) @ ials.item_factors.astype(np.float64).T
    return links / links.std(axis=1, keepdims=True) + 3 * factors / factors.std(axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 10, N_ITEMS])
def test_lists_are_those_of_the_sum_of_standardised_scores(fitted, histories, k):
    expected = blend_plainly(fitted, histories).astype(np.float32)
    expected[histories.items.rows, histories.items.items] = -np.inf
    items, scores = fitted.rank_histories(histories, histories.items, k)
    for row, found, values in zip(expected, items, scores, strict=True):
        best = np.lexsort((np.arange(N_ITEMS), -row))[:k]
        np.testing.assert_allclose(values, row[best], rtol=1e-6)
        assert found.tolist() == np.where(np.isneginf(row[best]), -1, best).tolist()


def test_a_history_of_which_no_part_knows_anything_ranks_nothing(fitted):
    nobody = ItemsByUser(np.array([0, 0]), np.array([], np.int32))
    assert fitted.rank_histories(Histories.of(nobody), nobody, 2)[0].tolist() == [[-1, -1]]


def test_a_part_whose_scores_are_all_but_alike_adds_nothing(fitted, histories):
    graph, ials = fitted.parts
    faint = replace(graph, strengths=graph.strengths * np.float32(1e-40))
    found = BlendModel((faint, ials), fitted.weights).rank_histories(histories, histories.items, 5)
    alone = BlendModel((ials,), (3.0,)).rank_histories(histories, histories.items, 5)
    np.testing.assert_array_equal(found[0], alone[0])


def test_a_block_of_scores_has_room_for_those_of_all_parts(fitted, histories, monkeypatch):
    monkeypatch.setattr(blend, "BLOCK_SCORES", 5 * 4 * N_ITEMS)
    score_histories = Mock(wraps=fitted.parts[0].score_histories)
    monkeypatch.setattr(type(fitted.parts[0]), "score_histories", lambda _, some: score_histories(some))
    usual = fitted.rank_histories(histories, histories.items, 5)
    blocks = [len(call.args[0].items.indptr) - 1 for call in score_histories.call_args_list]
    assert sum(blocks) == N_USERS
    assert max(blocks) <= 4
    monkeypatch.undo()
    for one, other in zip(usual, fitted.rank_histories(histories, histories.items, 5), strict=True):
        assert one.tobytes() == other.tobytes()


def test_items_are_as_alike_as_the_parts_say_by_their_weights(fitted):
    others = np.arange(1, 9)
    links, cosines = (part.similarities(0, others) for part in fitted.parts)
    np.testing.assert_allclose(fitted.similarities(0, others), (links + 3 * cosines) / 4, rtol=1e-6)


def test_scores_of_parts_are_those_that_the_sum_is_made_of(fitted, histories):
    graph, ials = fitted.parts
    expected = blend_plainly(fitted, histories)
    items, scores = fitted.score_parts(histories, histories.items, 5)
    row, place = np.nonzero(items >= 0)
    np.testing.assert_allclose((scores[0] + 3 * scores[1])[row, place], expected[row, items[row, place]], rtol=1e-4)
    for person in range(N_USERS):
        named = [part.rank_histories(histories, histories.items, 5)[0][person] for part in (graph, ials)]
        assert sorted(items[person][items[person] >= 0]) == np.union1d(*named).tolist()


def test_a_label_names_the_parts_their_weights_and_what_is_not_as_usual():
    [usual] = Blend().candidates(BlendOptions(blend="item-graph=1,ials=3"))
    graph, ials = usual["shares"]
    drawn = {"shares": [{**graph, "parameters": {**graph["parameters"], "power": 1.25}}, ials]}
    assert [Candidate(model="blend", parameters=one).label for one in (usual, drawn)] == [
        "blend, item-graph 1 + ials 3",
        "blend, item-graph 1 (power 1.25) + ials 3",
    ]


def test_weights_are_read_with_the_usual_parameters_of_each_model():
    [candidate] = Blend().candidates(BlendOptions(blend="item-graph=1, ials=3"))
    assert [(part["model"], part["weight"]) for part in candidate["shares"]] == [("item-graph", 1), ("ials", 3)]
    assert candidate["shares"][1]["parameters"]["ials_rank"] == 256
    assert list(Blend().candidates(BlendOptions())) == []


@pytest.mark.parametrize(
    ("blend", "message"),
    [
        ("popularity=1", "'popularity' is no part of a blend; expected one of item-graph, ials, ease"),
        ("ials", "weight"),
        ("ials=inf", "weight"),
    ],
)
def test_what_is_no_part_or_has_no_weight_is_refused(blend, message):
    with pytest.raises(ValidationError, match=message):
        BlendOptions(blend=blend)


@pytest.mark.parametrize(("n_items", "weights"), [((3, 4), (1.0, 1.0)), ((3,), ()), ((), ())])
def test_parts_that_do_not_fit_one_another_are_refused(n_items, weights):
    with pytest.raises(ValueError, match="expected one part or more, all of the same, and a weight for each"):
        BlendModel(tuple(SimpleNamespace(n_users=2, n_items=n) for n in n_items), weights)
